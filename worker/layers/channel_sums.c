#include "worker/layers/channel_sums.h"

struct lanes {
    _Alignas(64) float value[CHANNEL_BLOCK];
};

static const struct lanes zeros;

static size_t floats(const struct layer *layer, int leaves) {
    return (size_t)leaves * (size_t)shape_blocks(layer->input[0]->shape.channels) * CHANNEL_BLOCK;
}

size_t channel_sums_scratch(const struct layer *layer, const struct layer_plan *plan) {
    return 2 * floats(layer, plan->leaves) * sizeof(float);
}

struct channel_sums channel_sums_run(const struct layer *layer, const struct layer_run *run,
    const struct pass *pass,
    void (*kernel)(float *sum, float *product, const float *gradient, const float *in,
        const float *around, size_t count)) {
    const struct tensor *in = &layer->input[0]->activation, *dy = &layer->output[0]->gradient;
    const struct channel_sums sums = {
        run->scratch, (float *)run->scratch + floats(layer, pass->leaves)};
    int blocks = shape_blocks(in->shape.channels);
    size_t count = (size_t)in->shape.width * CHANNEL_BLOCK;
#pragma omp parallel for num_threads(run->threads) schedule(static)
    for (int i = 0; i < pass->leaves * blocks; i++) {
        int leaf = i / blocks, b = i % blocks;
        double first[CHANNEL_BLOCK] = {0}, second[CHANNEL_BLOCK] = {0};
        for (int n = pass->leaf_start[leaf]; n < pass->leaf_start[leaf + 1]; n++) {
            for (int h = 0; h < in->shape.height; h++) {
                struct lanes sum, product;
                kernel(sum.value, product.value, tensor_at(dy, n, b, h, 0),
                    tensor_at(in, n, b, h, 0), zeros.value, count);
                for (int l = 0; l < CHANNEL_BLOCK; l++) {
                    first[l] += (double)sum.value[l];
                    second[l] += (double)product.value[l];
                }
            }
        }
        for (int l = 0; l < CHANNEL_BLOCK; l++) {
            sums.sum[i * CHANNEL_BLOCK + l] = (float)first[l];
            sums.product[i * CHANNEL_BLOCK + l] = (float)second[l];
        }
    }
    return sums;
}
