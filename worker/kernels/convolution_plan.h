/* A planned convolution, as its three directions see it. Private to worker/kernels/. */
#ifndef WORKER_KERNELS_CONVOLUTION_PLAN_H
#define WORKER_KERNELS_CONVOLUTION_PLAN_H

#include "base/memory.h"
#include "worker/kernels/convolution.h"

/* One direction of the picture: height or width. */
struct convolution_axis {
    int input, output, kernel, stride, pad, dilation;
    int phases;       /* of backward-data: see struct convolution_phase */
    int phase_stride; /* from an input pixel of a phase to its next one */
    int gradient_border;
};

/* Backward-data along one axis. Input pixel i is reached from output pixel (i + pad - k * dilation)
 * / stride through every tap k for which that is whole, which are the same taps for all i that are
 * `stride` apart. Such pixels are a phase, and a phase is a dense convolution of the output
 * gradient: no zeros are multiplied. Where the axis has one output pixel the stride means nothing,
 * and each input pixel is a phase of its own with at most one tap, so that a linear layer's
 * backward-data reads no border. */
struct convolution_phase {
    int first, count; /* input pixels first, first + phase_stride, ... */
    int taps;         /* may be 0: no output reaches these pixels */
    int tap;          /* number of the phase's first tap; the next ones have lower numbers ... */
    int tap_step;     /* ... by this much */
    int offset;       /* output pixel that the first tap reads for the first input pixel; */
    int offset_step;  /* the next tap's is higher by this much */
};
void convolution_phase_init(
    struct convolution_phase *phase, const struct convolution_axis *axis, int number);

/* One or two neighbouring channel blocks of one side (input or output), which a register tile
 * covers, and the blocks of the other side with which they share a group. */
struct channel_tile {
    int block, blocks;
    int other_block, other_blocks;
    size_t offset; /* in the packed weights, of an output tile: [other_blocks][kh][kw][16][width] */
};

struct channel_side {
    int channels;
    int tile_blocks; /* blocks of every tile, the last one excepted */
    int tiles;
    struct channel_tile *tile;
};

/* Which operands are copied before they are read: convolution_operand.h. */
enum convolution_gather { GATHER_NONE, GATHER_NARROW, GATHER_PICTURES, GATHER_STRIDED };

struct convolution {
    struct convolution_shape shape;
    struct convolution_axis height, width;
    struct channel_side input, output;
    bool masked; /* group borders cut channel blocks: packed weights hold elements that are zero */
    enum convolution_gather gather;
    bool depthwise; /* by kernels of its own, in place of the dense ones */
    const struct kernels *kernels;
    enum engine_kernels engine;
    int threads, pictures, leaves;
    size_t packed; /* floats */
    /* Bytes of scratch: in all, and of one thread for the lists of runs and transposed weights. */
    size_t scratch, forward_runs, forward_own, backward_runs, backward_transposed;
    int item_tiles, item_rows;               /* of backward-weights: see struct item there */
    const struct winograd_kernels *winograd; /* of all three directions; NULL: direct */
};

/* Lanes of an input pixel, and rows of weights of a tap, as the direct kernels read them; rows of
 * weights of a tap that are not all zero, of a depthwise one. */
static inline int convolution_lanes(const struct convolution *convolution) {
    if (convolution->depthwise) {
        return 1;
    }
    return convolution->gather == GATHER_NARROW ? convolution->input.channels : CHANNEL_BLOCK;
}

static inline int channel_tile_width(const struct channel_tile *tile) {
    return tile->blocks * CHANNEL_BLOCK;
}

/* Channels of block `block` that exist: 16, or fewer in the last one. */
static inline int channel_block_left(int channels, int block) {
    int left = channels - block * CHANNEL_BLOCK;
    return left < CHANNEL_BLOCK ? left : CHANNEL_BLOCK;
}

/* Bytes up to the next multiple of the alignment. */
static inline size_t convolution_align(size_t bytes) {
    return (bytes + MEMORY_ALIGNMENT - 1) / MEMORY_ALIGNMENT * MEMORY_ALIGNMENT;
}

/* What each direction needs of scratch, in bytes; they note the parts above. */
size_t convolution_forward_scratch(struct convolution *convolution);
size_t convolution_backward_data_scratch(struct convolution *convolution);
size_t convolution_backward_weights_scratch(struct convolution *convolution);
size_t convolution_backward_bias_scratch(const struct convolution *convolution);

/* One 16 x 16 block of weights for every input block of the tile: out[16 oc][width ic], from output
 * block `block` and tap (row, column). Blocks that share no group are zero. */
void convolution_transpose_tap(float *out, const float *weights, const struct convolution *c,
    const struct channel_tile *tile, int block, int row, int column);

/* One channel in and one out a group, of so few taps that they are one chain. */
#define DEPTHWISE_TAPS_LIMIT 1023
bool convolution_is_depthwise(const struct convolution *convolution);
size_t convolution_depthwise_scratch(const struct convolution *convolution);
void convolution_depthwise_forward(const struct tensor *output, const struct tensor *input,
    const float *weights, const float *bias, int pictures, const struct convolution *convolution,
    const struct epilogue *epilogue, void *scratch);
void convolution_depthwise_backward_data(const struct tensor *input_gradient,
    const struct tensor *output_gradient, const float *weights, const float *bias, int pictures,
    const struct convolution *convolution, const struct epilogue *epilogue, void *scratch);

/* The engine on OpenBLAS: im2col and a matrix product a picture; the same results but for rounding.
 */
size_t convolution_blas_scratch(const struct convolution *convolution);
void convolution_blas_forward(const struct tensor *output, const struct tensor *input,
    const float *weights, const float *bias, int pictures, const struct convolution *convolution,
    void *scratch);
void convolution_blas_backward_data(const struct tensor *input_gradient,
    const struct tensor *output_gradient, const float *weights, const float *bias, int pictures,
    const struct convolution *convolution, void *scratch);
void convolution_blas_backward_weights(float *const *gradient, const struct tensor *input,
    const struct tensor *output_gradient, const struct pass *pass,
    const struct convolution *convolution, void *scratch);

#endif
