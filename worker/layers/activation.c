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

void activation_map(const struct layer *layer, const struct layer_run *run, int pictures,
    activation_kernel kernel, const float *constants, int step) {
    const struct tensor *in = &layer->input[0]->activation, *out = &layer->output[0]->activation;
    int blocks = shape_blocks(out->shape.channels);
    size_t count = (size_t)out->shape.width * CHANNEL_BLOCK;
#pragma omp parallel for num_threads(run->threads) schedule(static)
    for (int i = 0; i < pictures * blocks; i++) {
        int n = i / blocks, b = i % blocks;
        for (int h = 0; h < out->shape.height; h++) {
            kernel(
                tensor_at(out, n, b, h, 0), tensor_at(in, n, b, h, 0), constants + b * step, count);
        }
    }
}

void activation_map_backward(const struct layer *layer, const struct layer_run *run, int pictures,
    const struct tensor *value, activation_backward_kernel kernel, const float *constants,
    int step) {
    const struct tensor *dx = &layer->input[0]->gradient, *dy = &layer->output[0]->gradient;
    int blocks = shape_blocks(dy->shape.channels);
    size_t count = (size_t)dy->shape.width * CHANNEL_BLOCK;
#pragma omp parallel for num_threads(run->threads) schedule(static)
    for (int i = 0; i < (dx->data != NULL ? pictures * blocks : 0); i++) {
        int n = i / blocks, b = i % blocks;
        for (int h = 0; h < dy->shape.height; h++) {
            kernel(tensor_at(dx, n, b, h, 0), tensor_at(dy, n, b, h, 0),
                tensor_at(value, n, b, h, 0), constants + b * step, count);
        }
    }
}

struct lanes {
    _Alignas(64) float value[CHANNEL_BLOCK];
};

static struct lanes constant_of(const struct layer *layer) {
    struct lanes lanes;
    for (int l = 0; l < CHANNEL_BLOCK; l++) {
        lanes.value[l] = (float)((const struct constant_options *)layer->options)->constant;
    }
    return lanes;
}

void activation_constant_forward(const struct layer *layer, const struct layer_run *run,
    const struct pass *pass, activation_kernel kernel) {
    const struct lanes constant = constant_of(layer);
    activation_map(layer, run, pass->pictures, kernel, constant.value, 0);
}

void activation_constant_backward(const struct layer *layer, const struct layer_run *run,
    const struct pass *pass, activation_backward_kernel kernel) {
    const struct lanes constant = constant_of(layer);
    activation_map_backward(
        layer, run, pass->pictures, &layer->output[0]->activation, kernel, constant.value, 0);
}

void activation_clear_padding(
    const struct layer *layer, const struct layer_run *run, int pictures) {
    const struct tensor *out = &layer->output[0]->activation;
    int last = shape_blocks(out->shape.channels) - 1;
    int lanes = out->shape.channels - last * CHANNEL_BLOCK;
#pragma omp parallel for num_threads(run->threads) schedule(static)
    for (int n = 0; n < pictures; n++) {
        for (int h = 0; lanes < CHANNEL_BLOCK && h < out->shape.height; h++) {
            run->kernels->elementwise.clear_lanes(
                tensor_at(out, n, last, h, 0), lanes, (size_t)out->shape.width * CHANNEL_BLOCK);
        }
    }
}
