/* The kernels of one instruction set, and how one is chosen.
 *
 * Each instruction set is one file (avx512.c, avx2.c, portable.c; NEON would be one more): it
 * defines a vector of 16 floats (v16: one AVX-512 register, two AVX2 registers, an array) with the
 * operations named in vector.h and the size of its register tile, then includes bodies.inc: the
 * bodies product.inc (sums of products: convolution, linear), winograd.inc (transforms of tiles),
 * elementwise.inc (most else) and ceiling.inc (what the processor can do at most) are written once
 * over v16 and plain loops. All sets do the same scalar operations in the same order,
 * lanes never mix, contraction is off: so all give the same bits.
 */
#ifndef WORKER_KERNELS_KERNELS_H
#define WORKER_KERNELS_KERNELS_H

#include "base/cpu.h"
#include "worker/kernels/activation.h"
#include "worker/kernels/ceiling.h"
#include "worker/kernels/depthwise.h"
#include "worker/kernels/elementwise.h"
#include "worker/kernels/lrn.h"
#include "worker/kernels/pooling.h"
#include "worker/kernels/product.h"
#include "worker/kernels/random.h"
#include "worker/kernels/winograd.h"

/* Whose products: our own, or im2col and OpenBLAS (other bits, on request). */
enum engine_kernels { ENGINE_CONVOY, ENGINE_BLAS };

/* Winograd convolutions: nowhere; where the shape says that they are faster; wherever they can be,
 * in tiles of 2x2 or 4x4 (tests and measurements). */
enum engine_winograd { WINOGRAD_OFF, WINOGRAD_ON, WINOGRAD_2X2, WINOGRAD_4X4 };

struct kernels {
    enum cpu_isa isa;
    struct product_kernels product;
    struct depthwise_kernels depthwise;
    struct elementwise_kernels elementwise;
    struct activation_kernels activation;
    struct lrn_kernels lrn;
    struct pooling_kernels pooling;
    struct random_kernels random;
    struct ceiling_kernels ceiling;
    struct winograd_kernels winograd[WINOGRAD_FORMS]; /* small tiles first */
};

/* The kernels of `isa`, which the machine must have; never NULL. */
const struct kernels *kernels_get(enum cpu_isa isa);

#endif
