#include "worker/layers/random_map.h"

#include "base/random.h"

static void map_block(const struct tensor *out, const struct tensor *in, const struct tensor *by,
    int picture, int block, random_pixel pixel, const struct random_place *place,
    const void *options) {
    struct shape shape = out->shape;
    uint32_t number = (uint32_t)block * (uint32_t)(shape.height * shape.width) * 4;
    for (int h = 0; h < shape.height; h++) {
        for (int w = 0; w < shape.width; w++) {
            float uniform[CHANNEL_BLOCK];
            for (int j = 0; j < CHANNEL_BLOCK; j += 4) {
                uint32_t words[4];
                random_block(words, place, number++);
                for (int k = 0; k < 4; k++) {
                    uniform[j + k] = random_uniform(words[k]);
                }
            }
            pixel(tensor_at(out, picture, block, h, w), tensor_at(in, picture, block, h, w),
                tensor_at(by, picture, block, h, w), uniform, options);
        }
    }
}

void random_map(const struct layer *layer, const struct layer_run *run, const struct pass *pass,
    const struct tensor *out, const struct tensor *in, const struct tensor *by,
    random_pixel pixel) {
    int blocks = shape_blocks(out->shape.channels);
#pragma omp parallel for num_threads(run->threads) schedule(static)
    for (int i = 0; i < pass->pictures * blocks; i++) {
        const struct random_place place = {
            .seed = pass->seed,
            .purpose = RANDOM_DROPOUT,
            .unit = (uint32_t)layer->number,
            .time = pass->step,
            .item = (uint32_t)(pass->first_position + i / blocks),
        };
        map_block(out, in, by, i / blocks, i % blocks, pixel, &place, layer->options);
    }
}
