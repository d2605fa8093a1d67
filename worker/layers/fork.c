/* Fan-out: the same value to several takers. Forward is nothing (the outputs are the input's
 * memory); backward adds the gradients of the outputs, in their order. */
#include "worker/handoff.h"

static status plan(struct layer *layer, const struct layer_plan *plan) {
    (void)plan;
    for (int o = 0; o < layer->outputs; o++) {
        layer->output[o]->shape = layer->input[0]->shape;
    }
    layer->flags =
        LAYER_VIEW | LAYER_GRADIENT_IN_PLACE | LAYER_HANDS_GRADIENT | LAYER_TAKES_GRADIENT;
    return STATUS_OK;
}

static void forward(
    const struct layer *layer, const struct layer_run *run, const struct pass *pass) {
    (void)layer, (void)run, (void)pass;
}

static void take_gradient(const struct layer *layer, const struct layer_run *run,
    const struct pass *pass, const struct epilogue_run *rows) {
    const struct tensor *sum = &layer->input[0]->gradient;
    for (int o = 1; o < layer->outputs; o++) {
        layer_map_rows(sum, o == 1 ? &layer->output[0]->gradient : sum, &layer->output[o]->gradient,
            rows, run->kernels->elementwise.add_two);
    }
    struct handoff handoff;
    const struct epilogue *epilogue = handoff_gradient(&handoff, layer, run, pass);
    if (epilogue != NULL) {
        epilogue->run(epilogue, rows);
    }
}

static void backward(
    const struct layer *layer, const struct layer_run *run, const struct pass *pass) {
    const struct tensor *sum = &layer->input[0]->gradient;
    if (sum->data != NULL && layer->gradient_from == NULL) {
        layer_each_run(layer, run, pass, sum->shape, take_gradient);
    }
}

const struct layer_operations layer_fork = {
    .kind = {.name = "fork", .help = "the same value to several branches"},
    .plan = plan,
    .forward = forward,
    .backward = backward,
    .take_gradient = take_gradient,
};
