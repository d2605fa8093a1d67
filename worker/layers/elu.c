/* Exponential linear unit (Clevert, Unterthiner, Hochreiter 2015). */
#include "worker/layers/activation.h"

static const struct option elu_options[] =
    CONSTANT_OPTIONS("alpha", "1", 0, "what it falls to, below zero");

static void forward(
    const struct layer *layer, const struct layer_run *run, const struct pass *pass) {
    activation_constant_forward(layer, run, pass, run->kernels->activation.elu);
}

static void backward(
    const struct layer *layer, const struct layer_run *run, const struct pass *pass) {
    activation_constant_backward(layer, run, pass, run->kernels->activation.elu_backward);
}

const struct layer_operations layer_elu = {
    .kind = {.name = "elu",
        .help = "exponential linear unit: x, and alpha * (exp(x) - 1) below 0",
        .options = elu_options,
        .options_size = sizeof(struct constant_options)},
    .plan = activation_plan,
    .forward = forward,
    .backward = backward,
};
