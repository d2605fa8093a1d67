/* Softmax over the channels of each pixel: exp(x - max) / sum, in double. For a net that is to give
 * probabilities; the loss cross_entropy has its own and takes the values before it. */
#include "base/math.h"
#include "worker/layers/activation.h"

static status plan(struct layer *layer, const struct layer_plan *plan) {
    (void)plan;
    layer_plan_same(layer, LAYER_NEEDS_OUTPUT);
    return STATUS_OK;
}

/* The lane of channel c, counted from that of channel 0 of the same pixel. */
static ptrdiff_t lane(const struct tensor *tensor, int c) {
    return c / CHANNEL_BLOCK * tensor->block_stride + c % CHANNEL_BLOCK;
}

/* Zero in the lanes that are no channel. */
static void clear_padding(const struct tensor *tensor, float *pixel) {
    int channels = tensor->shape.channels;
    for (int c = channels; c < shape_blocks(channels) * CHANNEL_BLOCK; c++) {
        pixel[lane(tensor, c)] = 0.0f;
    }
}

static void forward_pixel(
    float *y, const float *x, const struct tensor *out, const struct tensor *in) {
    int channels = out->shape.channels;
    double most = (double)x[0], sum = 0;
    for (int c = 1; c < channels; c++) {
        double value = (double)x[lane(in, c)];
        most = value > most ? value : most;
    }
    for (int c = 0; c < channels; c++) {
        sum += math_exp((double)x[lane(in, c)] - most);
    }
    for (int c = 0; c < channels; c++) {
        y[lane(out, c)] = (float)(math_exp((double)x[lane(in, c)] - most) / sum);
    }
    clear_padding(out, y);
}

static void forward(
    const struct layer *layer, const struct layer_run *run, const struct pass *pass) {
    const struct tensor *out = &layer->output[0]->activation, *in = &layer->input[0]->activation;
#pragma omp parallel for num_threads(run->threads) schedule(static)
    for (int i = 0; i < pass->pictures * out->shape.height; i++) {
        int n = i / out->shape.height, h = i % out->shape.height;
        for (int w = 0; w < out->shape.width; w++) {
            forward_pixel(tensor_at(out, n, 0, h, w), tensor_at(in, n, 0, h, w), out, in);
        }
    }
}

/* dx = y * (dy - sum of dy * y) */
static void backward_pixel(const struct layer *layer, int n, int h, int w) {
    const struct tensor *out = &layer->output[0]->activation;
    const struct tensor *out_gradient = &layer->output[0]->gradient;
    const struct tensor *in_gradient = &layer->input[0]->gradient;
    const float *y = tensor_at(out, n, 0, h, w), *dy = tensor_at(out_gradient, n, 0, h, w);
    float *dx = tensor_at(in_gradient, n, 0, h, w);
    double sum = 0;
    for (int c = 0; c < out->shape.channels; c++) {
        sum += (double)dy[lane(out_gradient, c)] * (double)y[lane(out, c)];
    }
    for (int c = 0; c < out->shape.channels; c++) {
        double change = (double)dy[lane(out_gradient, c)] - sum;
        dx[lane(in_gradient, c)] = (float)((double)y[lane(out, c)] * change);
    }
    clear_padding(in_gradient, dx);
}

static void backward(
    const struct layer *layer, const struct layer_run *run, const struct pass *pass) {
    struct shape shape = layer->output[0]->shape;
    if (layer->input[0]->gradient.data == NULL) {
        return;
    }
#pragma omp parallel for num_threads(run->threads) schedule(static)
    for (int i = 0; i < pass->pictures * shape.height; i++) {
        for (int w = 0; w < shape.width; w++) {
            backward_pixel(layer, i / shape.height, i % shape.height, w);
        }
    }
}

const struct layer_operations layer_softmax = {
    .kind = PLAIN_KIND("softmax", "probabilities over the channels of each pixel"),
    .plan = plan,
    .forward = forward,
    .backward = backward,
};
