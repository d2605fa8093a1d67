/* Local response normalisation, one row of pixels at a time: y = x / s^beta with s = k + alpha *
 * (sum of the squares of a window). A window of `taps` terms that lie `step` floats apart is one of
 * neighbouring channels (step 1, channels side by side) or of neighbouring pixels (step 16). The
 * bodies are in lrn.inc; alignment and counts as in elementwise.h.
 */
#ifndef WORKER_KERNELS_LRN_H
#define WORKER_KERNELS_LRN_H

#include <stddef.h>

struct lrn_numbers {
    float alpha, beta, k; /* alpha is that of one term: already over their number */
};

struct lrn_kernels {
    /* squares[p * stride] += in[p]^2, 16 lanes a pixel */
    void (*add_squares)(float *squares, ptrdiff_t stride, const float *in, int pixels);
    /* windows[p] = sum over t < taps of terms[p * stride + t * step]; terms at any alignment */
    void (*window_sums)(
        float *windows, const float *terms, ptrdiff_t stride, int pixels, int taps, ptrdiff_t step);
    /* out = in / s^beta, s = k + alpha * windows */
    void (*normalise)(float *out, const float *in, const float *windows, int pixels,
        const struct lrn_numbers *numbers);
    /* in_gradient = out_gradient / s^beta and terms[p * stride] += in * in_gradient / s */
    void (*backward_terms)(float *terms, ptrdiff_t stride, float *in_gradient,
        const float *out_gradient, const float *in, const float *windows, int pixels,
        const struct lrn_numbers *numbers);
    /* in_gradient -= 2 * alpha * beta * in * windows (the windows of the terms) */
    void (*backward_finish)(float *in_gradient, const float *in, const float *windows, int pixels,
        const struct lrn_numbers *numbers);
};

#endif
