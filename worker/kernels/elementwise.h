/* Everything that is no sum of products: activations, normalisation, pooling, updates. One table an
 * instruction set; the bodies are in elementwise.inc.
 */
#ifndef WORKER_KERNELS_ELEMENTWISE_H
#define WORKER_KERNELS_ELEMENTWISE_H

#include <stddef.h>

struct elementwise_kernels {
    /* sum[i] += add[i] */
    void (*add)(float *sum, const float *add, size_t count);
};

#endif
