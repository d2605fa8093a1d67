#include "worker/layers/activation.h"

const struct option plain_options[] = {LAYER_NAME_OPTION, OPTIONS_END};

status activation_plan(struct layer *layer, const struct layer_plan *plan) {
    (void)plan;
    layer_plan_same(layer, LAYER_NEEDS_OUTPUT | LAYER_IN_PLACE | LAYER_GRADIENT_IN_PLACE);
    return STATUS_OK;
}

void activation_map_scalar(const struct layer *layer, const struct layer_run *run, int pictures,
    double (*function)(double)) {
    const struct tensor *out = &layer->output[0]->activation, *in = &layer->input[0]->activation;
    struct shape shape = out->shape;
    int blocks = shape_blocks(shape.channels);
#pragma omp parallel for num_threads(run->threads) schedule(static)
    for (int i = 0; i < pictures * blocks; i++) {
        int first = i % blocks * CHANNEL_BLOCK;
        for (int h = 0; h < shape.height; h++) {
            float *y = tensor_at(out, i / blocks, i % blocks, h, 0);
            const float *x = tensor_at(in, i / blocks, i % blocks, h, 0);
            for (int j = 0; j < shape.width * CHANNEL_BLOCK; j++) {
                bool padding = first + j % CHANNEL_BLOCK >= shape.channels;
                y[j] = padding ? 0.0f : (float)function((double)x[j]);
            }
        }
    }
}

void activation_backward(const struct layer *layer, const struct layer_run *run, int pictures,
    void (*kernel)(float *out, const float *out_gradient, const float *out_value, size_t count)) {
    if (layer->input[0]->gradient.data != NULL) {
        layer_map_two(&layer->input[0]->gradient, &layer->output[0]->gradient,
            &layer->output[0]->activation, pictures, kernel, run);
    }
}
