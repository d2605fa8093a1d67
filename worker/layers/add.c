/* The sum of two values of one shape (He et al. 2015). The gradients of both are the output's. */
#include "worker/layer.h"

static status plan(struct layer *layer, const struct layer_plan *plan) {
    (void)plan;
    struct shape a = layer->input[0]->shape, b = layer->input[1]->shape;
    if (!shape_equal(a, b)) {
        char text_a[48], text_b[48];
        LAYER_FAIL(layer, "%s and %s cannot be added: body and shortcut must end in one shape",
            shape_text(a, text_a, sizeof text_a), shape_text(b, text_b, sizeof text_b));
    }
    layer_plan_same(layer, LAYER_IN_PLACE | LAYER_GRADIENT_VIEW);
    return STATUS_OK;
}

static void forward(
    const struct layer *layer, const struct layer_run *run, const struct pass *pass) {
    layer_map_two(&layer->output[0]->activation, &layer->input[0]->activation,
        &layer->input[1]->activation, pass->pictures, run->kernels->elementwise.add_two, run);
}

static void backward(
    const struct layer *layer, const struct layer_run *run, const struct pass *pass) {
    (void)layer, (void)run, (void)pass;
}

const struct layer_operations layer_add = {
    .kind = {.name = "add", .help = "the sum of two values"},
    .plan = plan,
    .forward = forward,
    .backward = backward,
};
