/* Local response normalisation, one row of pixels at a time: y = x / s^beta with s = k + alpha *
 * (sum of the squares of a window). A window is of neighbouring channels (terms side by side) or of
 * neighbouring pixels. s must lie below 10^37. The bodies are in lrn.inc; alignment and counts as
 * in elementwise.h.
 */
#ifndef WORKER_KERNELS_LRN_H
#define WORKER_KERNELS_LRN_H

#include <stddef.h>

struct lrn_numbers {
    float alpha, beta, k; /* alpha is that of one term: already over their number */
};

/* Of pixel p the sum over t < taps of terms[p * stride + t * step], 16 lanes at any alignment:
 * step 1 for channels, 16 for pixels. */
struct lrn_windows {
    const float *terms;
    ptrdiff_t stride, step;
    int taps;
};

/* Rows of pixels of a channel block and of those before and after it: `own` is dense, the others
 * may be one pixel again and again (a step of 0): zeros, where there is no such block. */
struct lrn_rows {
    const float *before, *own, *after;
    ptrdiff_t before_step, after_step;
};

struct lrn_kernels {
    /* squares[p * stride] = in[p]^2, 16 lanes a pixel; and += */
    void (*squares)(float *squares, ptrdiff_t stride, const float *in, int pixels);
    void (*add_squares)(float *squares, ptrdiff_t stride, const float *in, int pixels);
    /* out = in / s^beta, s = k + alpha * windows of the squares */
    void (*normalise)(float *out, const float *in, const struct lrn_windows *windows, int pixels,
        const struct lrn_numbers *numbers);
    /* in_gradient = out_gradient / s^beta and terms[p * stride] = in * in_gradient / s */
    void (*backward_terms)(float *terms, ptrdiff_t stride, float *in_gradient,
        const float *out_gradient, const float *in, const struct lrn_windows *windows, int pixels,
        const struct lrn_numbers *numbers);
    /* in_gradient -= 2 * alpha * beta * in * windows of the terms */
    void (*backward_finish)(float *in_gradient, const float *in, const struct lrn_windows *windows,
        int pixels, const struct lrn_numbers *numbers);

    /* The same three for windows of five channels, as everyone takes them, without squares in
     * memory; terms are dense. The same bits. */
    void (*five_normalise)(
        float *out, const struct lrn_rows *in, int pixels, const struct lrn_numbers *numbers);
    void (*five_backward_terms)(float *terms, float *in_gradient, const float *out_gradient,
        const struct lrn_rows *in, int pixels, const struct lrn_numbers *numbers);
    void (*five_backward_finish)(float *in_gradient, const float *in, const struct lrn_rows *terms,
        int pixels, const struct lrn_numbers *numbers);
};

#endif
