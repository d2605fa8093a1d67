#include "worker/layers/activation.h"

const struct option plain_options[] = {LAYER_NAME_OPTION, OPTIONS_END};

status activation_plan(struct layer *layer, const struct layer_plan *plan) {
    (void)plan;
    layer_plan_same(layer, LAYER_NEEDS_OUTPUT | LAYER_IN_PLACE | LAYER_GRADIENT_IN_PLACE);
    return STATUS_OK;
}

void activation_backward(const struct layer *layer, const struct layer_run *run, int pictures,
    void (*kernel)(float *out, const float *out_gradient, const float *out_value, size_t count)) {
    if (layer->input[0]->gradient.data != NULL) {
        layer_map_two(&layer->input[0]->gradient, &layer->output[0]->gradient,
            &layer->output[0]->activation, pictures, kernel, run);
    }
}
