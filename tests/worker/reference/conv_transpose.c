/* Every input pixel, tap by tap, is spread over the output. */
#include "reference/reference.h"

#include <string.h>

/* One product: element indices of input, output and weight. */
struct product {
    size_t in, out, weight;
};

typedef void (*each)(const struct reference_run *run, const struct product *product, int leaf);

static void each_tap(const struct reference_run *run, each call) {
    struct shape in = run->layer->input[0]->shape, out = run->layer->output[0]->shape;
    int kernel[2], stride[2], pad[2], dilation[2], groups = (int)reference_number(run, "groups", 1);
    for (int axis = 0; axis < 2; axis++) {
        kernel[axis] = reference_pair(run, "kernel", axis, 3);
        stride[axis] = reference_pair(run, "stride", axis, 1);
        pad[axis] = reference_pair(run, "pad", axis, 0);
        dilation[axis] = reference_pair(run, "dilation", axis, 1);
    }
    int ins = in.channels / groups, outs = out.channels / groups, taps = kernel[0] * kernel[1];
    int pixels = in.height * in.width;
    for (int n = 0; n < run->pass->pictures * in.channels * pixels; n++) {
        int picture = n / pixels / in.channels, i = n / pixels % in.channels;
        int h = n % pixels / in.width, w = n % in.width;
        for (int o = 0; o < outs; o++) {
            for (int k = 0; k < taps; k++) {
                int y = h * stride[0] - pad[0] + k / kernel[1] * dilation[0];
                int x = w * stride[1] - pad[1] + k % kernel[1] * dilation[1];
                if (y < 0 || y >= out.height || x < 0 || x >= out.width) {
                    continue;
                }
                struct product product = {reference_at(in, picture, i, h, w),
                    reference_at(out, picture, i / ins * outs + o, y, x),
                    ((size_t)i * (size_t)outs + (size_t)o) * (size_t)taps + (size_t)k};
                call(run, &product, reference_leaf(run, picture));
            }
        }
    }
}

static void forward_product(const struct reference_run *run, const struct product *p, int leaf) {
    (void)leaf;
    run->output[0][p->out] += run->input[0][p->in] * run->parameter[0][p->weight];
}

static void backward_product(const struct reference_run *run, const struct product *p, int leaf) {
    size_t weights = (size_t)run->layer->parameter[0]->elements;
    double gradient = run->output_gradient[0][p->out];
    run->parameter_gradient[0][(size_t)leaf * weights + p->weight] +=
        gradient * run->input[0][p->in];
    run->input_gradient[0][p->in] += gradient * run->parameter[0][p->weight];
}

static size_t channel_of(const struct layer *layer, size_t output) {
    struct shape out = layer->output[0]->shape;
    return output / (size_t)(out.height * out.width) % (size_t)out.channels;
}

static void conv_transpose_forward(const struct reference_run *run) {
    const struct layer *layer = run->layer;
    for (size_t i = 0; i < reference_count(run, layer->output[0]->shape); i++) {
        run->output[0][i] = layer->parameters > 1 ? run->parameter[1][channel_of(layer, i)] : 0;
    }
    each_tap(run, forward_product);
}

static void conv_transpose_backward(const struct reference_run *run) {
    const struct layer *layer = run->layer;
    struct shape out = layer->output[0]->shape;
    memset(
        run->input_gradient[0], 0, reference_count(run, layer->input[0]->shape) * sizeof(double));
    for (int p = 0; p < layer->parameters; p++) {
        memset(run->parameter_gradient[p], 0,
            (size_t)run->pass->leaves * (size_t)layer->parameter[p]->elements * sizeof(double));
    }
    for (size_t i = 0; layer->parameters > 1 && i < reference_count(run, out); i++) {
        int leaf = reference_leaf(run, (int)(i / shape_elements(out)));
        run->parameter_gradient[1][(size_t)leaf * (size_t)out.channels + channel_of(layer, i)] +=
            run->output_gradient[0][i];
    }
    each_tap(run, backward_product);
}

const struct reference reference_conv_transpose = {
    "conv_transpose", conv_transpose_forward, conv_transpose_backward};
