/* The logistic function 1 / (1 + exp(-x)), by base/math. Padding lanes are zero, not 1/2. */
#include "base/math.h"
#include "worker/layers/activation.h"

static double sigmoid(double x) {
    return 1.0 / (1.0 + math_exp(-x));
}

static void forward(
    const struct layer *layer, const struct layer_run *run, const struct pass *pass) {
    activation_map_scalar(layer, run, pass->pictures, sigmoid);
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
