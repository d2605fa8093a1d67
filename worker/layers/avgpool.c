/* The mean of each window, or of the whole picture. Whether padding counts as so many zeros or not
 * at all is an option. */
#include "base/memory.h"
#include "worker/layers/pooling.h"

#include <stdlib.h>
#include <string.h>

struct avgpool_options {
    const char *name;
    bool global, count_pad;
    int64_t kernel[2], stride[2], pad[2];
};

static const struct option avgpool_options[] = {
    {.name = "kernel",
        .type = OPTION_PAIR,
        .offset = offsetof(struct avgpool_options, kernel),
        .initial = "2",
        .low = 1,
        .high = 65536,
        .flags = OPTION_CHANGES_BITS,
        .help = "height and width of the window"},
    {.name = "stride",
        .type = OPTION_PAIR,
        .offset = offsetof(struct avgpool_options, stride),
        .low = 0,
        .high = 65536,
        .flags = OPTION_CHANGES_BITS,
        .help = "step of the window; 0: the kernel"},
    {.name = "pad",
        .type = OPTION_PAIR,
        .offset = offsetof(struct avgpool_options, pad),
        .low = 0,
        .high = 32768,
        .flags = OPTION_CHANGES_BITS,
        .help = "rows and columns outside the picture, on every side"},
    {.name = "global",
        .type = OPTION_SWITCH,
        .offset = offsetof(struct avgpool_options, global),
        .initial = "false",
        .flags = OPTION_CHANGES_BITS,
        .help = "one window, the whole picture"},
    {.name = "count_pad",
        .type = OPTION_SWITCH,
        .offset = offsetof(struct avgpool_options, count_pad),
        .initial = "true",
        .flags = OPTION_CHANGES_BITS,
        .help = "divide by the size of the window, padding included"},
    LAYER_NAME_OPTION, OPTIONS_END};

struct state {
    struct pooling pooling;
    float share[]; /* [height][width] of the output: one over what its window counts */
};

/* Taps of one axis that lie inside the picture. */
static int taps_inside(const struct pooling *pooling, int axis, int output, int size) {
    int first = output * pooling->stride[axis] - pooling->pad[axis];
    int last = first + pooling->kernel[axis];
    first = first > 0 ? first : 0;
    last = last < size ? last : size;
    return last - first;
}

static status plan(struct layer *layer, const struct layer_plan *plan) {
    (void)plan;
    static const int64_t zeros[2] = {0, 0};
    const struct avgpool_options *o = layer->options;
    struct pooling pooling;
    TRY(pooling_plan(&pooling, layer, o->global ? zeros : o->kernel, o->global ? zeros : o->stride,
        o->global ? zeros : o->pad));
    struct shape in = layer->input[0]->shape, out = layer->output[0]->shape;
    struct state *state;
    TRY(memory_allocate((void **)&state, 1,
        sizeof *state + (size_t)out.height * (size_t)out.width * sizeof(float)));
    layer->state = state;
    state->pooling = pooling;
    for (int h = 0; h < out.height; h++) {
        for (int w = 0; w < out.width; w++) {
            int count = o->count_pad ? pooling.kernel[0] * pooling.kernel[1]
                                     : taps_inside(&pooling, 0, h, in.height) *
                                           taps_inside(&pooling, 1, w, in.width);
            state->share[h * out.width + w] = 1.0f / (float)count;
        }
    }
    return STATUS_OK;
}

/* Calls for every tap of output row h of a block that meets the input. */
static void each_tap(const struct layer *layer, const struct layer_run *run,
    const struct tensor *in, const struct tensor *out, int n, int block, int h, bool backward) {
    const struct state *state = layer->state;
    const struct pooling *pooling = &state->pooling;
    for (int tap = 0; tap < pooling->kernel[0] * pooling->kernel[1]; tap++) {
        int kh = tap / pooling->kernel[1], kw = tap % pooling->kernel[1];
        int row = h * pooling->stride[0] + kh - pooling->pad[0], from, to;
        pooling_range(&from, &to, pooling, 1, kw, in->shape.width, out->shape.width);
        if (row < 0 || row >= in->shape.height || from >= to) {
            continue;
        }
        float *input =
            tensor_at(in, n, block, row, from * pooling->stride[1] + kw - pooling->pad[1]);
        float *output = tensor_at(out, n, block, h, from);
        if (backward) {
            run->kernels->elementwise.pool_spread(input, output,
                state->share + h * out->shape.width + from, pooling->stride[1], to - from);
        } else {
            run->kernels->elementwise.pool_sum(output, input, pooling->stride[1], to - from);
        }
    }
}

static void clear_rows(const struct tensor *tensor, int n, int block) {
    for (int h = 0; h < tensor->shape.height; h++) {
        memset(tensor_at(tensor, n, block, h, 0), 0,
            (size_t)tensor->shape.width * CHANNEL_BLOCK * sizeof(float));
    }
}

static void forward(
    const struct layer *layer, const struct layer_run *run, const struct pass *pass) {
    const struct state *state = layer->state;
    const struct tensor *in = &layer->input[0]->activation, *out = &layer->output[0]->activation;
    int blocks = shape_blocks(out->shape.channels);
#pragma omp parallel for num_threads(run->threads) schedule(static)
    for (int i = 0; i < pass->pictures * blocks; i++) {
        clear_rows(out, i / blocks, i % blocks);
        for (int h = 0; h < out->shape.height; h++) {
            each_tap(layer, run, in, out, i / blocks, i % blocks, h, false);
            run->kernels->elementwise.pool_scale(tensor_at(out, i / blocks, i % blocks, h, 0),
                state->share + h * out->shape.width, out->shape.width);
        }
    }
}

static void backward(
    const struct layer *layer, const struct layer_run *run, const struct pass *pass) {
    const struct tensor *in = &layer->input[0]->gradient, *out = &layer->output[0]->gradient;
    int blocks = shape_blocks(out->shape.channels);
    if (in->data == NULL) {
        return;
    }
#pragma omp parallel for num_threads(run->threads) schedule(static)
    for (int i = 0; i < pass->pictures * blocks; i++) {
        clear_rows(in, i / blocks, i % blocks);
        for (int h = 0; h < out->shape.height; h++) {
            each_tap(layer, run, in, out, i / blocks, i % blocks, h, true);
        }
    }
}

const struct layer_operations layer_avgpool = {
    .kind = {.name = "avgpool",
        .help = "the mean of each window, or of the whole picture",
        .options = avgpool_options,
        .options_size = sizeof(struct avgpool_options)},
    .plan = plan,
    .forward = forward,
    .backward = backward,
};
