/* Everything that is no sum of products: activations, normalisation, pooling, updates. One table an
 * instruction set; the bodies are in elementwise.inc.
 */
#ifndef WORKER_KERNELS_ELEMENTWISE_H
#define WORKER_KERNELS_ELEMENTWISE_H

#include <stddef.h>

struct elementwise_kernels {
    /* sum[i] += add[i] */
    void (*add)(float *sum, const float *add, size_t count);

    /* sum[16] = the sum of the pixels (16 lanes each) of one channel block: the pixels of a row in
     * order, then the rows. Aligned to 64 bytes. */
    void (*sum_pixels)(
        float *sum, const float *pixels, int height, ptrdiff_t row_stride, int width);
};

#endif
