/* Activations with a constant, one row of pixels at a time: `constant` is 16 floats, one a channel.
 * Backward takes the gradient of the output and the output itself (prelu: or the input, which has
 * the same sign). The bodies are in activation.inc; alignment and counts as in elementwise.h.
 */
#ifndef WORKER_KERNELS_ACTIVATION_H
#define WORKER_KERNELS_ACTIVATION_H

#include <stddef.h>

typedef void (*activation_kernel)(float *out, const float *in, const float *constant, size_t count);
typedef void (*activation_backward_kernel)(float *in_gradient, const float *out_gradient,
    const float *out, const float *constant, size_t count);

struct activation_kernels {
    /* in > 0 ? in : constant * in */
    activation_kernel prelu;
    activation_backward_kernel prelu_backward;
    /* By channel: sum = sum of gradient, product = sum of gradient * min(in - knee, 0). */
    void (*prelu_moments)(float *sum, float *product, const float *gradient, const float *in,
        const float *knee, size_t count);
    /* in > 0 ? in : constant * (exp(in) - 1) */
    activation_kernel elu;
    activation_backward_kernel elu_backward;
    /* constant * tanh(2/3 in) */
    activation_kernel lecun_tanh;
    activation_backward_kernel lecun_tanh_backward;
    /* log(1 + exp(constant * in)) / constant */
    activation_kernel softplus;
    activation_backward_kernel softplus_backward;
};

#endif
