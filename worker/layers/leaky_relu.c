/* Leaky rectifier (Maas, Hannun, Ng 2013): a small slope below zero. */
#include "worker/layers/activation.h"

static const struct option leaky_relu_options[] =
    CONSTANT_OPTIONS("slope", "0.01", 0, "below zero");

static void forward(
    const struct layer *layer, const struct layer_run *run, const struct pass *pass) {
    activation_constant_forward(layer, run, pass, run->kernels->activation.prelu);
}

static void backward(
    const struct layer *layer, const struct layer_run *run, const struct pass *pass) {
    activation_constant_backward(layer, run, pass, run->kernels->activation.prelu_backward);
}

const struct layer_operations layer_leaky_relu = {
    .kind = {.name = "leaky_relu",
        .help = "leaky rectifier: x, and slope * x below 0",
        .options = leaky_relu_options,
        .options_size = sizeof(struct constant_options)},
    .plan = activation_plan,
    .forward = forward,
    .backward = backward,
};
