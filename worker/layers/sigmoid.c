/* The logistic function 1 / (1 + exp(-x)). Padding lanes are zero, not 1/2. */
#include "worker/layers/activation.h"

static void forward(
    const struct layer *layer, const struct layer_run *run, const struct pass *pass) {
    const struct tensor *out = &layer->output[0]->activation;
    layer_map(
        out, &layer->input[0]->activation, pass->pictures, run->kernels->elementwise.sigmoid, run);
    int last = shape_blocks(out->shape.channels) - 1;
    int lanes = out->shape.channels - last * CHANNEL_BLOCK;
#pragma omp parallel for num_threads(run->threads) schedule(static)
    for (int n = 0; n < pass->pictures; n++) {
        for (int h = 0; lanes < CHANNEL_BLOCK && h < out->shape.height; h++) {
            run->kernels->elementwise.clear_lanes(
                tensor_at(out, n, last, h, 0), lanes, (size_t)out->shape.width * CHANNEL_BLOCK);
        }
    }
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
