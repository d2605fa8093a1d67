/* Winograd's minimal filtering for convolutions of stride 1 (Lavin and Gray, "Fast algorithms for
 * convolutional neural networks", 2015), in three forms: with F(4x4, 3x3) a tile of 4 x 4 outputs
 * costs 36 products an input channel and not 144, with F(2x2, 3x3) one of 2 x 2 costs 16 and not
 * 36, with F(2x2, 5x5) 36 and not 100.
 *
 *     forward            Y  = A' [sum over channels (G g G') . (B' d B)] A
 *     backward-data      the same of the output's gradient, with weights flipped and transposed
 *     backward-weights   dg = G' [sum over tiles (B' d B) . (A dY A')] G, its exact adjoint
 *
 * with the points 0, 1, -1 and infinity, and 2 and -2 where inputs are tiles of 6 x 6. A transform
 * of one tile is 36 or 16 "frequencies", each a vector of 16 channels; the sums are as many matrix
 * products of product.h.
 *
 * The kernels below each handle one tile and one block of 16 channels. Frequency f of a transform
 * lies at f * step. All addresses are aligned to 64 bytes, all strides in floats. Every one is a
 * fixed sequence of correctly rounded operations (winograd.inc).
 */
#ifndef WORKER_KERNELS_WINOGRAD_H
#define WORKER_KERNELS_WINOGRAD_H

#include <stdbool.h>
#include <stddef.h>

#define WINOGRAD_FORMS      3
#define WINOGRAD_MOST_INPUT 6 /* of all forms */

struct winograd_kernels {
    int output;      /* pixels of a tile, in each direction: m of the output, 2 or 4 */
    int kernel;      /* ... r taps, 3 or 5 */
    int input;       /* ... n = m + r - 1 of the input */
    int taps;        /* r squared */
    int frequencies; /* n squared */
    /* out = B' in B, of n x n pixels. */
    void (*pixels)(float *out, ptrdiff_t step, const float *in, ptrdiff_t in_row);
    /* The first rows x columns pixels of out = A' in A + initial[16]. */
    void (*output_pixels)(float *out, ptrdiff_t out_row, int rows, int columns, const float *in,
        ptrdiff_t step, const float *initial);
    /* out = G in G', of r x r taps; `tap` may be negative. */
    void (*weights)(float *out, ptrdiff_t step, const float *in, ptrdiff_t tap);
    /* out = A in A', of m x m pixels. */
    void (*gradient)(float *out, ptrdiff_t step, const float *in, ptrdiff_t in_row);
    /* r x r taps: out = G' in G, or out + that. */
    void (*weights_gradient)(float *out, ptrdiff_t tap, bool add, const float *in, ptrdiff_t step);
};

#endif
