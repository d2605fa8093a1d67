/* Softplus, log(1 + exp(beta x)) / beta: a rectifier without a corner (Dugas et al. 2001).
 * Padding lanes are zero, not log 2. */
#include "worker/layers/activation.h"

static const struct option softplus_options[] =
    CONSTANT_OPTIONS("beta", "1", 1e-3, "how sharp the turn is");

static void forward(
    const struct layer *layer, const struct layer_run *run, const struct pass *pass) {
    activation_constant_forward(layer, run, pass, run->kernels->activation.softplus);
    activation_clear_padding(layer, run, pass->pictures);
}

static void backward(
    const struct layer *layer, const struct layer_run *run, const struct pass *pass) {
    activation_constant_backward(layer, run, pass, run->kernels->activation.softplus_backward);
}

const struct layer_operations layer_softplus = {
    .kind = {.name = "softplus",
        .help = "smooth rectifier: log(1 + exp(beta * x)) / beta",
        .options = softplus_options,
        .options_size = sizeof(struct constant_options)},
    .plan = activation_plan,
    .forward = forward,
    .backward = backward,
};
