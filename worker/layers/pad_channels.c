/* More channels, all zero, and every stride-th pixel: the shortcut without parameters of He et al.
 * 2015 (section 3.3, option A), which their networks for CIFAR have. */
#include "worker/layer.h"

#include <string.h>

#define PIXEL_BYTES (CHANNEL_BLOCK * sizeof(float))

struct pad_channels_options {
    const char *name;
    int64_t out, stride;
};

static const struct option pad_channels_options[] = {
    {.name = "out",
        .type = OPTION_INTEGER,
        .offset = offsetof(struct pad_channels_options, out),
        .low = 1,
        .high = 65536,
        .flags = OPTION_REQUIRED | OPTION_CHANGES_BITS,
        .help = "channels of the output: the input's, then zeros"},
    {.name = "stride",
        .type = OPTION_INTEGER,
        .offset = offsetof(struct pad_channels_options, stride),
        .initial = "1",
        .low = 1,
        .high = 65536,
        .flags = OPTION_CHANGES_BITS,
        .help = "from a row and column that is kept to the next"},
    LAYER_NAME_OPTION, OPTIONS_END};

static status plan(struct layer *layer, const struct layer_plan *plan) {
    (void)plan;
    const struct pad_channels_options *o = layer->options;
    struct shape in = layer->input[0]->shape;
    if (o->out < in.channels) {
        LAYER_FAIL(layer, "%lld channels cannot be padded to %lld", (long long)in.channels,
            (long long)o->out);
    }
    layer->output[0]->shape = (struct shape){
        (int)o->out, (int)((in.height - 1) / o->stride + 1), (int)((in.width - 1) / o->stride + 1)};
    return STATUS_OK;
}

/* Every stride-th pixel of a row; the input's padding lanes are zeros already. */
static void keep_row(float *out, const float *in, int pixels, int64_t stride) {
    for (int w = 0; w < pixels; w++) {
        memcpy(out + w * CHANNEL_BLOCK, in + w * stride * CHANNEL_BLOCK, PIXEL_BYTES);
    }
}

static void forward(
    const struct layer *layer, const struct layer_run *run, const struct pass *pass) {
    const struct pad_channels_options *o = layer->options;
    const struct tensor *in = &layer->input[0]->activation, *out = &layer->output[0]->activation;
    int blocks = shape_blocks(out->shape.channels), kept = shape_blocks(in->shape.channels);
#pragma omp parallel for num_threads(run->threads) schedule(static)
    for (int i = 0; i < pass->pictures * blocks; i++) {
        int n = i / blocks, b = i % blocks;
        for (int h = 0; h < out->shape.height; h++) {
            float *row = tensor_at(out, n, b, h, 0);
            if (b < kept) {
                keep_row(
                    row, tensor_at(in, n, b, (int)(h * o->stride), 0), out->shape.width, o->stride);
            } else {
                memset(row, 0, (size_t)out->shape.width * PIXEL_BYTES);
            }
        }
    }
}

/* The gradient of a row that was kept, where zeros are already. The output may have channels where
 * the input has padding lanes. */
static void spread_row(const struct layer_run *run, float *in, const float *out, int lanes,
    int width, int64_t stride) {
    for (int64_t w = 0; w * stride < width; w++) {
        memcpy(in + w * stride * CHANNEL_BLOCK, out + w * CHANNEL_BLOCK, PIXEL_BYTES);
    }
    if (lanes < CHANNEL_BLOCK) {
        run->kernels->elementwise.clear_lanes(in, lanes, (size_t)width * CHANNEL_BLOCK);
    }
}

static void backward(
    const struct layer *layer, const struct layer_run *run, const struct pass *pass) {
    const struct pad_channels_options *o = layer->options;
    const struct tensor *in = &layer->input[0]->gradient, *out = &layer->output[0]->gradient;
    int blocks = shape_blocks(in->shape.channels);
#pragma omp parallel for num_threads(run->threads) schedule(static)
    for (int i = 0; i < (in->data != NULL ? pass->pictures * blocks : 0); i++) {
        int n = i / blocks, b = i % blocks, lanes = in->shape.channels - b * CHANNEL_BLOCK;
        for (int h = 0; h < in->shape.height; h++) {
            float *row = tensor_at(in, n, b, h, 0);
            memset(row, 0, (size_t)in->shape.width * PIXEL_BYTES);
            if (h % o->stride == 0) {
                spread_row(run, row, tensor_at(out, n, b, (int)(h / o->stride), 0), lanes,
                    in->shape.width, o->stride);
            }
        }
    }
}

const struct layer_operations layer_pad_channels = {
    .kind = {.name = "pad_channels",
        .help = "more channels, all zero, and every stride-th pixel: a shortcut without parameters",
        .options = pad_channels_options,
        .options_size = sizeof(struct pad_channels_options)},
    .plan = plan,
    .forward = forward,
    .backward = backward,
};
