/* Everything that is no sum of products: activations, normalisation, updates. One table an
 * instruction set; the bodies are in elementwise.inc.
 *
 * Rows of pixels: `count` floats, a multiple of 16, 16 channels a pixel, aligned to 64 bytes. A
 * channel's constant is one of 16 floats. An output may be the very same memory as an input.
 */
#ifndef WORKER_KERNELS_ELEMENTWISE_H
#define WORKER_KERNELS_ELEMENTWISE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One step of gradient descent with momentum, worked out once for all elements. */
struct elementwise_descent {
    float inverse_pictures, rate, momentum, weight_decay;
    bool nesterov;
};

/* Batch norm by channel, constants of 16 floats each: forward (in - mean) * scale + shift, and the
 * gradient of its input out_gradient * scale + (in - mean) * slope + shift. */
struct elementwise_line {
    const float *mean, *scale, *shift;
};
struct elementwise_turn {
    const float *scale, *slope, *shift;
};

struct elementwise_kernels {
    /* sum[i] += add[i]; any count, any alignment */
    void (*add)(float *sum, const float *add, size_t count);

    /* sum[16] = the sum of the pixels (16 lanes each) of one channel block: the pixels of a row in
     * order, then the rows. Aligned to 64 bytes. */
    void (*sum_pixels)(
        float *sum, const float *pixels, int height, ptrdiff_t row_stride, int width);

    /* out = a + b */
    void (*add_two)(float *out, const float *a, const float *b, size_t count);
    /* out = in * factor */
    void (*scale)(float *out, const float *in, float factor, size_t count);

    /* out = 0 where in < 0, else in (so what is not a number stays so) */
    void (*relu)(float *out, const float *in, size_t count);
    /* in_gradient = out_gradient where out > 0, else 0 */
    void (*relu_backward)(
        float *in_gradient, const float *out_gradient, const float *out, size_t count);
    /* out = tanh(in), and 1 / (1 + exp(-in)) */
    void (*tanh)(float *out, const float *in, size_t count);
    void (*sigmoid)(float *out, const float *in, size_t count);
    /* out = uniform < rate ? 0 : in * kept */
    void (*mask)(
        float *out, const float *in, const float *uniform, float rate, float kept, size_t count);
    /* Sets lanes from `lanes` on to zero in every pixel: padding that a function of 0 is not. */
    void (*clear_lanes)(float *row, int lanes, size_t count);
    /* in_gradient = out_gradient * (1 - out^2) */
    void (*tanh_backward)(
        float *in_gradient, const float *out_gradient, const float *out, size_t count);
    /* in_gradient = out_gradient * out * (1 - out) */
    void (*sigmoid_backward)(
        float *in_gradient, const float *out_gradient, const float *out, size_t count);

    /* Batch norm, some rows of a channel block. By channel: sum = sum of in - pivot, square = sum
     * of its square. The even pixels of each row are one chain and the odd ones another, through
     * all rows; their sum is the result. */
    void (*moments)(float *sum, float *square, const float *in, ptrdiff_t row_stride, int rows,
        int pixels, const float *pivot);
    /* out = (in - mean) * scale + shift, plus `addend` where that is not NULL; where `rectify`,
     * then 0 where that is < 0. The same bits as one kernel after the other. */
    void (*normalise)(float *out, const float *in, const float *addend,
        const struct elementwise_line *line, bool rectify, size_t count);
    /* Backward, where `rectified` with 0 in place of the gradient where normalise and rectify gave
     * no more than 0: worked out again from `in`, so that what it gave need not be read. */
    /* By channel, in chains as above: sum = sum of gradient, product = sum of gradient * (in -
     * mean). */
    void (*gradient_moments)(float *sum, float *product, const float *gradient,
        ptrdiff_t gradient_row_stride, const float *in, ptrdiff_t row_stride, int rows, int pixels,
        const struct elementwise_line *line, bool rectified);
    /* The same of one row, without a rectifier: product = sum of gradient * (in - around). */
    void (*gradient_sums)(float *sum, float *product, const float *gradient, const float *in,
        const float *around, size_t count);
    /* One row: in_gradient = out_gradient * scale + (in - mean) * slope + shift */
    void (*normalise_backward)(float *in_gradient, const float *out_gradient, const float *in,
        const struct elementwise_line *line, const struct elementwise_turn *turn, bool rectified,
        size_t count);

    /* g = gradient * inverse_pictures + weight_decay * weights; velocity = momentum * velocity + g;
     * weights -= rate * (nesterov ? g + momentum * velocity : velocity). Any count. */
    void (*descend)(float *weights, float *velocity, const float *gradient, size_t count,
        const struct elementwise_descent *step);
    /* average += share * (gradient * inverse_pictures - average). Any count. */
    void (*average)(
        float *average, const float *gradient, float inverse_pictures, float share, size_t count);
};

#endif
