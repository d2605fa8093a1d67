/* What the processor itself can do: the denominators of every share that `convoy bench` and bench/
 * print. Measurements, not part of training.
 */
#ifndef WORKER_KERNELS_CEILING_H
#define WORKER_KERNELS_CEILING_H

#include <stddef.h>

#define CEILING_PRODUCTS 24 /* vectors of 16 lanes multiplied and added in a round */

struct ceiling_kernels {
    /* Does rounds * CEILING_PRODUCTS fused multiply-adds of 16 lanes, in as many independent chains
     * as it takes to hide their latency. The result is there so that no compiler leaves them out.
     */
    float (*multiply_add)(long rounds);
    /* Reads in[count], aligned to 64 bytes, count a multiple of 64; returns the sum. */
    float (*read)(const float *in, size_t count);
    /* out[count] = in[count] by ordinary stores, as the layers write; the same conditions. */
    void (*copy)(float *out, const float *in, size_t count);
};

#endif
