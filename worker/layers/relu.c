/* Rectifier: max(0, x). What is not a number stays so. */
#include "worker/layers/activation.h"

static void forward(
    const struct layer *layer, const struct layer_run *run, const struct pass *pass) {
    layer_map(&layer->output[0]->activation, &layer->input[0]->activation, pass->pictures,
        run->kernels->elementwise.relu, run);
}

static void backward(
    const struct layer *layer, const struct layer_run *run, const struct pass *pass) {
    activation_backward(layer, run, pass->pictures, run->kernels->elementwise.relu_backward);
}

const struct layer_operations layer_relu = {
    .kind = PLAIN_KIND("relu", "rectifier: max(0, x)"),
    .plan = activation_plan,
    .forward = forward,
    .backward = backward,
};
