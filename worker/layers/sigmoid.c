/* The logistic function 1 / (1 + exp(-x)). Padding lanes are zero, not 1/2. */
#include "worker/layers/activation.h"

static void forward(
    const struct layer *layer, const struct layer_run *run, const struct pass *pass) {
    layer_map(&layer->output[0]->activation, &layer->input[0]->activation, pass->pictures,
        run->kernels->elementwise.sigmoid, run);
    activation_clear_padding(layer, run, pass->pictures);
}

static void backward(
    const struct layer *layer, const struct layer_run *run, const struct pass *pass) {
    activation_backward(layer, run, pass->pictures, run->kernels->elementwise.sigmoid_backward);
}

const struct layer_operations layer_sigmoid = {
    .kind = PLAIN_KIND("sigmoid", "logistic function: 1 / (1 + exp(-x))"),
    .plan = activation_plan,
    .forward = forward,
    .backward = backward,
};
