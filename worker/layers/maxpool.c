/* The largest of each window. Padding is no candidate: the border is never read. Training keeps a
 * byte an element, the tap that won (the first of equals); backward gives each gradient to it. */
#include "base/memory.h"
#include "worker/handoff.h"
#include "worker/layers/pooling.h"

#include <math.h>
#include <string.h>

struct maxpool_options {
    const char *name;
    int64_t kernel[2], stride[2], pad[2];
    bool ceil;
};

static const struct option maxpool_options[] = {
    {.name = "kernel",
        .type = OPTION_PAIR,
        .offset = offsetof(struct maxpool_options, kernel),
        .initial = "2",
        .low = 1,
        .high = 256,
        .flags = OPTION_CHANGES_BITS,
        .help = "height and width of the window, at most 256 elements"},
    {.name = "stride",
        .type = OPTION_PAIR,
        .offset = offsetof(struct maxpool_options, stride),
        .low = 0,
        .high = 256,
        .flags = OPTION_CHANGES_BITS,
        .help = "step of the window; 0: the kernel"},
    {.name = "pad",
        .type = OPTION_PAIR,
        .offset = offsetof(struct maxpool_options, pad),
        .low = 0,
        .high = 128,
        .flags = OPTION_CHANGES_BITS,
        .help = "rows and columns outside the picture, on every side"},
    POOLING_CEIL_OPTION(struct maxpool_options), LAYER_NAME_OPTION, OPTIONS_END};

/* Elements of one output picture, padding lanes counted. */
static size_t picture_lanes(struct shape shape) {
    return (size_t)shape_blocks(shape.channels) * (size_t)shape.height * (size_t)shape.width *
           CHANNEL_BLOCK;
}

static status plan(struct layer *layer, const struct layer_plan *plan) {
    const struct maxpool_options *o = layer->options;
    struct pooling *pooling;
    TRY(MEMORY_ALLOCATE(&pooling, 1));
    layer->state = pooling;
    if (o->kernel[0] * o->kernel[1] > 256) {
        LAYER_FAIL(layer, "a window of %lldx%lld has more than 256 elements",
            (long long)o->kernel[0], (long long)o->kernel[1]);
    }
    TRY(pooling_plan(pooling, layer, o->kernel, o->stride, o->pad, o->ceil));
    struct shape output = layer->output[0]->shape;
    /* The taps that won; then, for forward, what pool_max gathers: one row a thread. */
    layer->saved_bytes = (size_t)plan->pictures * picture_lanes(output);
    layer->flags |= LAYER_HANDS_GRADIENT;
    layer->scratch_bytes =
        (size_t)plan->threads * (size_t)output.width * CHANNEL_BLOCK * sizeof(float);
    return STATUS_OK;
}

static void forward_row(const struct layer *layer, const struct layer_run *run, float *spoilt,
    uint8_t *place, int n, int block, int h) {
    const struct pooling *pooling = layer->state;
    const struct tensor *in = &layer->input[0]->activation, *out = &layer->output[0]->activation;
    int width = out->shape.width;
    float *best = tensor_at(out, n, block, h, 0);
    for (int i = 0; i < width * CHANNEL_BLOCK; i++) {
        best[i] = -INFINITY;
        spoilt[i] = 0.0f;
    }
    memset(place, 0, (size_t)width * CHANNEL_BLOCK);
    for (int kh = 0; kh < pooling->kernel[0]; kh++) {
        int row = h * pooling->stride[0] + kh - pooling->pad[0];
        for (int kw = 0; row >= 0 && row < in->shape.height && kw < pooling->kernel[1]; kw++) {
            int from, to;
            pooling_range(&from, &to, pooling, 1, kw, in->shape.width, width);
            int column = from * pooling->stride[1] + kw - pooling->pad[1];
            if (from < to) {
                run->kernels->elementwise.pool_max(best + from * CHANNEL_BLOCK,
                    spoilt + from * CHANNEL_BLOCK, place + from * CHANNEL_BLOCK,
                    tensor_at(in, n, block, row, column), kh * pooling->kernel[1] + kw,
                    pooling->stride[1], to - from);
            }
        }
    }
    run->kernels->elementwise.add_two(best, best, spoilt, (size_t)width * CHANNEL_BLOCK);
}

static void forward(
    const struct layer *layer, const struct layer_run *run, const struct pass *pass) {
    struct shape shape = layer->output[0]->shape;
    int blocks = shape_blocks(shape.channels);
    size_t row = (size_t)shape.width * CHANNEL_BLOCK;
#pragma omp parallel for num_threads(run->threads) schedule(static, 1)
    for (int thread = 0; thread < run->threads; thread++) {
        int64_t items = (int64_t)pass->pictures * blocks;
        float *spoilt = (float *)run->scratch + (size_t)thread * row;
        for (int64_t i = items * thread / run->threads; i < items * (thread + 1) / run->threads;
             i++) {
            uint8_t *place = (uint8_t *)layer->saved + (size_t)i * (size_t)shape.height * row;
            for (int h = 0; h < shape.height; h++) {
                forward_row(layer, run, spoilt, place + (size_t)h * row, (int)(i / blocks),
                    (int)(i % blocks), h);
            }
        }
    }
}

static void backward_block(const struct layer *layer, const struct layer_run *run, int n, int block,
    const uint8_t *place) {
    const struct pooling *pooling = layer->state;
    const struct tensor *in = &layer->input[0]->gradient, *out = &layer->output[0]->gradient;
    for (int h = 0; h < in->shape.height; h++) {
        memset(tensor_at(in, n, block, h, 0), 0,
            (size_t)in->shape.width * CHANNEL_BLOCK * sizeof(float));
    }
    for (int h = 0; h < out->shape.height; h++) {
        for (int tap = 0; tap < pooling->kernel[0] * pooling->kernel[1]; tap++) {
            int kh = tap / pooling->kernel[1], kw = tap % pooling->kernel[1];
            int row = h * pooling->stride[0] + kh - pooling->pad[0], from, to;
            pooling_range(&from, &to, pooling, 1, kw, in->shape.width, out->shape.width);
            if (row >= 0 && row < in->shape.height && from < to) {
                run->kernels->elementwise.pool_max_backward(
                    tensor_at(in, n, block, row, from * pooling->stride[1] + kw - pooling->pad[1]),
                    tensor_at(out, n, block, h, from),
                    place + ((ptrdiff_t)h * out->shape.width + from) * CHANNEL_BLOCK, tap,
                    pooling->stride[1], to - from);
            }
        }
    }
}

static void backward(
    const struct layer *layer, const struct layer_run *run, const struct pass *pass) {
    struct shape shape = layer->output[0]->shape;
    int blocks = shape_blocks(shape.channels);
    size_t block = (size_t)shape.height * (size_t)shape.width * CHANNEL_BLOCK;
    if (layer->input[0]->gradient.data == NULL) {
        return;
    }
    struct handoff handoff;
    const struct epilogue *epilogue = handoff_gradient(&handoff, layer, run, pass);
#pragma omp parallel for num_threads(run->threads) schedule(static)
    for (int i = 0; i < pass->pictures * blocks; i++) {
        backward_block(
            layer, run, i / blocks, i % blocks, (const uint8_t *)layer->saved + (size_t)i * block);
        if (epilogue != NULL) {
            epilogue_block(epilogue, layer->input[0]->shape, i / blocks, i % blocks);
        }
    }
}

const struct layer_operations layer_maxpool = {
    .kind = {.name = "maxpool",
        .help = "the largest of each window",
        .options = maxpool_options,
        .options_size = sizeof(struct maxpool_options)},
    .plan = plan,
    .forward = forward,
    .backward = backward,
};
