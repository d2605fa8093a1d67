/* Fan-out: the same value to several takers. Forward is nothing (the outputs are the input's
 * memory); backward adds the gradients of the outputs, in their order. */
#include "worker/layer.h"

static status plan(struct layer *layer, const struct layer_plan *plan) {
    (void)plan;
    for (int o = 0; o < layer->outputs; o++) {
        layer->output[o]->shape = layer->input[0]->shape;
    }
    layer->flags = LAYER_VIEW | LAYER_GRADIENT_IN_PLACE;
    return STATUS_OK;
}

static void forward(
    const struct layer *layer, const struct layer_run *run, const struct pass *pass) {
    (void)layer, (void)run, (void)pass;
}

static void backward(
    const struct layer *layer, const struct layer_run *run, const struct pass *pass) {
    const struct tensor *sum = &layer->input[0]->gradient;
    for (int o = 1; sum->data != NULL && o < layer->outputs; o++) {
        layer_map_two(sum, o == 1 ? &layer->output[0]->gradient : sum, &layer->output[o]->gradient,
            pass->pictures, run->kernels->elementwise.add_two, run);
    }
}

const struct layer_operations layer_fork = {
    .kind = {.name = "fork", .help = "the same value to several branches"},
    .plan = plan,
    .forward = forward,
    .backward = backward,
};
