/* LeNet-5's squashing function (LeCun et al. 1998, appendix A): amplitude * tanh(2/3 x), which is 1
 * at 1 and -1 at -1 with the usual amplitude, where its bend is sharpest. */
#include "worker/layers/activation.h"

static const struct option lecun_tanh_options[] =
    CONSTANT_OPTIONS("amplitude", "1.7159", 1e-3, "what it tends to");

static void forward(
    const struct layer *layer, const struct layer_run *run, const struct pass *pass) {
    activation_constant_forward(layer, run, pass, run->kernels->activation.lecun_tanh);
}

static void backward(
    const struct layer *layer, const struct layer_run *run, const struct pass *pass) {
    activation_constant_backward(layer, run, pass, run->kernels->activation.lecun_tanh_backward);
}

const struct layer_operations layer_lecun_tanh = {
    .kind = {.name = "lecun_tanh",
        .help = "LeNet-5's squashing function: amplitude * tanh(2/3 x)",
        .options = lecun_tanh_options,
        .options_size = sizeof(struct constant_options)},
    .plan = activation_plan,
    .forward = forward,
    .backward = backward,
};
