#include "worker/layers/random_map.h"

#include "base/random.h"

#define PIECE 64 /* pixels that a thread takes at a time */

/* Pixels [from, to) of a picture, in the order in which elements are numbered. */
static void map_piece(const struct tensor *out, const struct tensor *in, const struct tensor *by,
    int picture, int from, int to, random_pixels pixels, const struct random_place *place,
    const struct layer *layer, const struct kernels *kernels) {
    uint32_t words[PIECE * CHANNEL_BLOCK];
    _Alignas(64) float uniform[PIECE * CHANNEL_BLOCK];
    const size_t count = (size_t)(to - from) * CHANNEL_BLOCK;
    const int width = out->shape.width, plane = out->shape.height * width;
    kernels->random.words(words, place, (uint32_t)from * (CHANNEL_BLOCK / 4), count);
    kernels->random.uniforms(uniform, words, count);
    for (int i = from, past; i < to; i = past) { /* row by row */
        int block = i / plane, h = i % plane / width, w = i % width;
        past = i - w + width < to ? i - w + width : to;
        pixels(tensor_at(out, picture, block, h, w), tensor_at(in, picture, block, h, w),
            tensor_at(by, picture, block, h, w), uniform + (ptrdiff_t)(i - from) * CHANNEL_BLOCK,
            (size_t)(past - i) * CHANNEL_BLOCK, layer, kernels);
    }
}

void random_map(const struct layer *layer, const struct layer_run *run, const struct pass *pass,
    const struct tensor *out, const struct tensor *in, const struct tensor *by,
    random_pixels pixels) {
    struct shape shape = out->shape;
    const int all = shape_blocks(shape.channels) * shape.height * shape.width;
    const int pieces = (all + PIECE - 1) / PIECE;
#pragma omp parallel for num_threads(run->threads) schedule(static)
    for (int i = 0; i < pass->pictures * pieces; i++) {
        const struct random_place place = {
            .seed = pass->seed,
            .purpose = RANDOM_DROPOUT,
            .unit = (uint32_t)layer->number,
            .time = pass->step,
            .item = (uint32_t)(pass->first_position + i / pieces),
        };
        int from = i % pieces * PIECE, to = from + PIECE < all ? from + PIECE : all;
        map_piece(out, in, by, i / pieces, from, to, pixels, &place, layer, run->kernels);
    }
}
