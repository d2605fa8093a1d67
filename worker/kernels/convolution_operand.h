/* An operand as the products read it: the tensor itself, or a copy in scratch where the tensor's
 * layout would be read badly. Private to worker/kernels/.
 *
 *     gather     whose                                       the copy
 *     narrow     inputs of fewer than 16 channels            only the channels that exist, border
 *                                                            and all: the taps of a row are one run
 *     pictures   both sides of a layer of one output pixel   pictures next to each other: a step
 *                (a linear layer)                            from one to the next is a cache line,
 *                                                            and not a whole picture
 *     strided    inputs of a strided 1x1                     only the pixels that are read
 *
 * The products are the same in the same order: a copy changes no bit.
 */
#ifndef WORKER_KERNELS_CONVOLUTION_OPERAND_H
#define WORKER_KERNELS_CONVOLUTION_OPERAND_H

#include "worker/kernels/convolution_plan.h"

struct operand {
    const float *data;             /* tap (0, 0) of output pixel (0, 0), block 0, picture 0 */
    ptrdiff_t picture, block;      /* floats from one to the next, as all below */
    ptrdiff_t tap_row, tap_column; /* from one tap to the next */
    ptrdiff_t row, column;         /* from one output pixel to the next */
};

enum convolution_gather convolution_gather_of(const struct convolution *convolution);

/* Bytes of scratch for the copy of the inputs, or of the output's gradient; 0: no copy. */
size_t operand_input_bytes(const struct convolution *convolution);
size_t operand_gradient_bytes(const struct convolution *convolution);

/* The operand over pictures 0 .. pictures-1. Where it is a copy, it lies in `memory` (64-byte
 * aligned) and thread `thread` of `threads` makes its share of it: a barrier must follow. The
 * output's gradient has no taps. */
void operand_input(struct operand *operand, void *memory, const struct tensor *input, int pictures,
    const struct convolution *convolution, int thread, int threads);
void operand_gradient(struct operand *operand, void *memory, const struct tensor *gradient,
    int pictures, const struct convolution *convolution, int thread, int threads);

#endif
