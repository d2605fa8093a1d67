/* Convolutions by Winograd's filters (winograd.h), as the three directions of convolution.h.
 * Private to worker/kernels/.
 *
 * What is added to what depends on the layer's shape alone. Forward and backward-data: each
 * frequency of a tile is one chain over the channels of the other side. Backward-weights: a chain
 * runs over the tiles of some consecutive pictures of one leaf, or of some tile rows of a picture
 * (winograd_weights.c says how many); its sum is transformed back to taps, and the chains of a leaf
 * are added one after the other, leaves by the tree.
 */
#ifndef WORKER_KERNELS_WINOGRAD_PLAN_H
#define WORKER_KERNELS_WINOGRAD_PLAN_H

#include "worker/kernels/convolution_plan.h"

/* Tiles along one axis of `pixels`. */
static inline int winograd_tiles(const struct winograd_kernels *form, int pixels) {
    return (pixels + form->output - 1) / form->output;
}

/* Floats from a frequency to the next, where one holds `floats`: a cache line more, or the
 * frequencies of a tile would all fall into the same sets of a cache. */
static inline size_t winograd_step(size_t floats) {
    return floats + CHANNEL_BLOCK;
}

/* The form in which the convolution is to be done, NULL for none: by its shape and the user's wish
 * alone. */
const struct winograd_kernels *winograd_choose(
    const struct convolution *convolution, enum engine_winograd wish);

/* The `size` x `size` pixels at (row, column) of one channel block, which may lie partly outside
 * the map, where everything is zero: *address and *row_stride of the pixels in the tensor, or of a
 * copy in `room` (size * size * 16 floats) where the tensor has no border to read. */
void winograd_pixels(const float **address, ptrdiff_t *row_stride, const struct tensor *tensor,
    int picture, int block, int row, int column, int size, float *room);

/* Bytes of scratch of all directions; plans them. */
size_t winograd_scratch(struct convolution *convolution);
size_t winograd_maps_scratch(const struct convolution *convolution);
size_t winograd_weights_scratch(const struct convolution *convolution);

void winograd_forward(const struct tensor *output, const struct tensor *input, const float *weights,
    const float *bias, int pictures, const struct convolution *convolution,
    const struct epilogue *epilogue, void *scratch);
void winograd_backward_data(const struct tensor *input_gradient,
    const struct tensor *output_gradient, const float *weights, const float *bias, int pictures,
    const struct convolution *convolution, const struct epilogue *epilogue, void *scratch);
void winograd_backward_weights(float *const *gradient, const struct tensor *input,
    const struct tensor *output_gradient, const struct pass *pass,
    const struct convolution *convolution, void *scratch);

#endif
