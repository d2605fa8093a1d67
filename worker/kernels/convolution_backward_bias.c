#include "base/cpu.h"
#include "worker/kernels/convolution_plan.h"

#include <omp.h>
#include <string.h>

size_t convolution_backward_bias_scratch(const struct convolution *convolution) {
    int in = convolution->input.channels, out = convolution->output.channels;
    int most = in > out ? in : out;
    return convolution_align(
        (size_t)convolution->leaves * (size_t)shape_blocks(most) * CHANNEL_BLOCK * sizeof(float));
}

void convolution_backward_bias(float *const *gradient, const struct tensor *output_gradient,
    const struct pass *pass, const struct convolution *convolution, void *scratch) {
    const struct convolution *c = convolution;
    const struct tensor *from = output_gradient;
    int blocks = shape_blocks(from->shape.channels), count = blocks * CHANNEL_BLOCK;
    float *leaf_sums = scratch;
#pragma omp parallel for num_threads(c->threads) schedule(static)
    for (int number = 0; number < pass->leaves * blocks; number++) {
        cpu_flush_denormals();
        int leaf = number / blocks, block = number % blocks;
        float *sum = leaf_sums + (ptrdiff_t)number * CHANNEL_BLOCK;
        memset(sum, 0, CHANNEL_BLOCK * sizeof(float));
        for (int p = pass->leaf_start[leaf]; p < pass->leaf_start[leaf + 1]; p++) {
            float picture[CHANNEL_BLOCK] __attribute__((aligned(MEMORY_ALIGNMENT)));
            c->kernels->elementwise.sum_pixels(picture, tensor_at(from, p, block, 0, 0),
                from->shape.height, from->row_stride, from->shape.width);
            c->kernels->elementwise.add(sum, picture, CHANNEL_BLOCK);
        }
    }
    pass_fold_leaves(gradient, leaf_sums, count, pass);
}
