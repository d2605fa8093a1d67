/* Convolution, forward and both ways backward, for every shape; linear layers too, since a linear
 * layer is a convolution whose kernel covers its whole input (the packing of its weights, O x C x H
 * x W, is then what undoes the order of a flatten).
 *
 * All three directions are sums of small matrix products over a list of blocks (a batch-reduce
 * matrix product: Georganas et al., "Anatomy of high-performance deep learning convolutions on SIMD
 * architectures", SC 2018): a register tile of output pixels x channels, a run of inputs broadcast
 * against packed weights (product.h). Each output element is computed by one thread in an order
 * that depends on the layer's shape alone: chains of fused multiply-adds over 512 to 1023 products
 * (fewer where there are no more), whose sums are added one after the other.
 *
 * Weights are packed [oc/32][ic/16][kh][kw][16 ic][32 oc], the last block 16 wide where the number
 * of 16-blocks of oc is odd. With groups, a block of oc has only the ic blocks of its own groups,
 * and elements that cross groups are zero and stay so; all blocks are 16 wide where a group's oc
 * are no multiple of 32.
 *
 * Depthwise ones (a channel in and one out a group) are sums of products lane by lane
 * (depthwise.h), the same in the same order; their packed weights use the diagonals of the blocks.
 *
 * Dense 3x3 and 5x5 convolutions may be done by Winograd's filters instead (winograd.h): two to
 * three times as fast, with other bits and a larger rounding; `winograd` says whether, and then the
 * shape alone.
 *
 * Only convolution_create allocates; scratch is planned: one piece of memory, aligned to 64 bytes,
 * which any convolution of the same net may use in turn. Not for all ranks together.
 */
#ifndef WORKER_KERNELS_CONVOLUTION_H
#define WORKER_KERNELS_CONVOLUTION_H

#include "worker/kernels/epilogue.h"
#include "worker/kernels/kernels.h"
#include "worker/pass.h"
#include "worker/tensor.h"

struct convolution_shape {
    struct shape input;
    int output_channels;
    int kernel_height, kernel_width;
    int stride_height, stride_width;
    int pad_height, pad_width;
    int dilation_height, dilation_width;
    int groups;
};

/* The output's shape. Fails with STATUS_USAGE where the kernel does not fit. */
status convolution_output(struct shape *output, const struct convolution_shape *shape);

struct convolution; /* a planned one */

/* Plans for `threads` threads and passes of at most `pictures` pictures and `leaves` leaves. */
status convolution_create(struct convolution **convolution, const struct convolution_shape *shape,
    const struct kernels *kernels, enum engine_kernels engine, enum engine_winograd winograd,
    int threads, int pictures, int leaves);
void convolution_destroy(struct convolution *convolution);

/* What the tensors must offer: the border of the input, and of the output's gradient. */
void convolution_input_border(int *height, int *width, const struct convolution *convolution);
void convolution_gradient_border(int *height, int *width, const struct convolution *convolution);

/* As it was planned; lives as long as the convolution. */
const struct convolution_shape *convolution_get_shape(const struct convolution *convolution);
size_t convolution_packed_size(const struct convolution *convolution); /* floats, multiple of 16 */
size_t convolution_scratch_bytes(const struct convolution *convolution);  /* the most of any call */
int64_t convolution_multiply_adds(const struct convolution *convolution); /* forward, a picture */

/* Whether all directions run by Winograd's filters. */
bool convolution_is_winograd(const struct convolution *convolution);

/* What each direction runs on, for who looks: "direct 3x3 avx512 14x32, input copied". After the
 * instruction set come the largest register tile (pixels, or channels in backward-weights, x
 * channels), groups whose channels are no whole blocks, and which operands are copied first. Of a
 * transposed convolution, whose directions change places, on request. */
enum convolution_direction {
    CONVOLUTION_FORWARD,
    CONVOLUTION_BACKWARD_DATA,
    CONVOLUTION_BACKWARD_WEIGHTS,
    CONVOLUTION_DIRECTIONS
};
struct convolution_kernels {
    char text[CONVOLUTION_DIRECTIONS][128];
    int shared; /* characters that the same kernel has in all of them: "direct 3x3 avx512 " */
};
void convolution_name_kernels(
    struct convolution_kernels *kernels, const struct convolution *convolution, bool transposed);

/* Between standard order (O, I / groups, KH, KW) and packed. Packing writes the padding (zero). */
void convolution_pack(float *packed, const float *standard, const struct convolution *convolution);
void convolution_unpack(
    float *standard, const float *packed, const struct convolution *convolution);

/* output = input * weights + bias (bias[output blocks * 16], padding lanes zero; NULL: none), for
 * pictures 0 .. pictures-1. Writes every lane of every pixel, padding lanes zero; not the border.
 * Then calls `epilogue` (NULL: none) on the runs of the output. */
void convolution_forward(const struct tensor *output, const struct tensor *input,
    const float *weights, const float *bias, int pictures, const struct convolution *convolution,
    const struct epilogue *epilogue, void *scratch);

/* input_gradient = the transposed product + bias (bias[input blocks * 16], padding lanes zero;
 * NULL: none, as in a gradient); overwrites every pixel inside the border, lanes of padding
 * channels zero. The border of output_gradient is read and must be zero. The forward pass of a
 * transposed convolution, too, whose input is here called output_gradient. Then calls `epilogue`
 * (NULL: none) on the runs of the input gradient. */
void convolution_backward_data(const struct tensor *input_gradient,
    const struct tensor *output_gradient, const float *weights, const float *bias, int pictures,
    const struct convolution *convolution, const struct epilogue *epilogue, void *scratch);

/* gradient[s] (packed, already at the parameter's place, aligned to 64 bytes) = the sum over
 * subtree s of the pass, by chain, leaf and tree; a subtree without pictures gets zeros. A chain,
 * summed in registers, is the fewest consecutive pictures of one leaf that make 128 output pixels;
 * a picture of 1024 pixels or more is cut into pixels / 512 chains of whole rows, as even as they
 * go. The chains of a leaf are folded by a binary counter: as a balanced tree over the chain's
 * number, what is left over at the end from right to left. */
void convolution_backward_weights(float *const *gradient, const struct tensor *input,
    const struct tensor *output_gradient, const struct pass *pass,
    const struct convolution *convolution, void *scratch);

/* Sum of output_gradient (of either side's channels: a transposed convolution's is that of the
 * input) over pixels and pictures, by subtree: gradient[s][its blocks * 16]. In a leaf: the pixels
 * of a row in order, the rows of a picture, the pictures. */
void convolution_backward_bias(float *const *gradient, const struct tensor *output_gradient,
    const struct pass *pass, const struct convolution *convolution, void *scratch);

#endif
