/* Depthwise convolution: every channel has a kernel of its own, so that lanes are channels of
 * inputs and outputs alike and nothing is broadcast. The bodies are in depthwise.inc; 16 channels a
 * pixel, aligned to 64 bytes; all steps in floats.
 */
#ifndef WORKER_KERNELS_DEPTHWISE_H
#define WORKER_KERNELS_DEPTHWISE_H

#include <stdbool.h>
#include <stddef.h>

struct product_block;

/* Where the taps of a kernel are: in the pixels, and of pixels() in the weights. */
struct depthwise_taps {
    int rows, columns;
    ptrdiff_t row_step, column_step;
    ptrdiff_t weight_row, weight_column;
};

/* For every tap the sum over pixels of input * gradient: over a list of runs of pixels (product.h),
 * a in the inputs and b in the gradients, in order. */
struct depthwise_sum {
    const float *input, *gradient;
    const struct product_block *blocks;
    int count;
    ptrdiff_t input_step, gradient_step; /* from a pixel of a run to the next */
    struct depthwise_taps taps;
    const float *initial; /* [taps][16]: where sums start; NULL: zero */
    float *out;           /* [taps][16] */
    bool add;             /* to what is there; else written */
};

struct depthwise_kernels {
    /* One row: out[p] = initial (16; NULL: 0) + the sum over the taps, row by row, of in * weights,
     * as one chain of fused multiply-adds. Forward, and one phase of backward-data. */
    void (*pixels)(float *out, ptrdiff_t out_step, const float *in, ptrdiff_t in_step,
        const float *weights, const struct depthwise_taps *taps, const float *initial, int pixels);
    void (*sums)(const struct depthwise_sum *sum);
};

#endif
