/* Hyperbolic tangent. */
#include "worker/layers/activation.h"

static void forward(
    const struct layer *layer, const struct layer_run *run, const struct pass *pass) {
    layer_map(&layer->output[0]->activation, &layer->input[0]->activation, pass->pictures,
        run->kernels->elementwise.tanh, run);
}

static void backward(
    const struct layer *layer, const struct layer_run *run, const struct pass *pass) {
    activation_backward(layer, run, pass->pictures, run->kernels->elementwise.tanh_backward);
}

const struct layer_operations layer_tanh = {
    .kind = PLAIN_KIND("tanh", "hyperbolic tangent"),
    .plan = activation_plan,
    .forward = forward,
    .backward = backward,
};
