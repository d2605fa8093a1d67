/* The mean of each window, or of the whole picture. Whether padding counts as so many zeros or not
 * at all is an option.
 *
 * Adaptive pooling gives so many outputs whatever the input: output i of n over a side of s covers
 * [floor(i s / n), ceil((i + 1) s / n)), as in PyTorch. Where n divides s these are plain windows.
 */
#include "base/memory.h"
#include "worker/handoff.h"
#include "worker/layers/pooling.h"

#include <stdlib.h>
#include <string.h>

struct avgpool_options {
    const char *name;
    bool global, count_pad, sum, ceil;
    int64_t kernel[2], stride[2], pad[2], adaptive[2];
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
    {.name = "sum",
        .type = OPTION_SWITCH,
        .offset = offsetof(struct avgpool_options, sum),
        .initial = "false",
        .flags = OPTION_CHANGES_BITS,
        .help = "the sum of the window, not the mean"},
    {.name = "adaptive",
        .type = OPTION_PAIR,
        .offset = offsetof(struct avgpool_options, adaptive),
        .low = 0,
        .high = 65536,
        .flags = OPTION_CHANGES_BITS,
        .help = "height and width of the output, in place of kernel, stride and pad; 0: off"},
    POOLING_CEIL_OPTION(struct avgpool_options), LAYER_NAME_OPTION, OPTIONS_END};

struct state {
    struct pooling pooling; /* unused where windows are uneven */
    bool uneven;            /* adaptive, and some windows are wider than others */
    float share[];          /* [height][width] of the output: what a sum is multiplied with */
};

/* Inputs [*first, *past) of window `output` along an axis; padding counts too where it may. */
static void window_of(int *first, int *past, const struct state *state, int axis, int output,
    int size, int outputs, bool count_pad) {
    const struct pooling *pooling = &state->pooling;
    if (state->uneven) {
        *first = (int)((int64_t)output * size / outputs);
        *past = (int)((((int64_t)output + 1) * size + outputs - 1) / outputs);
        return;
    }
    int edge = count_pad ? pooling->pad[axis] : 0;
    *first = output * pooling->stride[axis] - pooling->pad[axis];
    *past = *first + pooling->kernel[axis];
    *first = *first > -edge ? *first : -edge;
    *past = *past < size + edge ? *past : size + edge;
}

static status plan_adaptive(
    struct pooling *pooling, bool *uneven, struct layer *layer, const int64_t outputs[2]) {
    struct shape in = layer->input[0]->shape;
    int size[2] = {in.height, in.width};
    *uneven = false;
    *pooling = (struct pooling){.ceil = false};
    for (int axis = 0; axis < 2; axis++) {
        if (outputs[axis] < 1) {
            LAYER_FAIL(layer, "adaptive must be one or two numbers of at least 1, not %lldx%lld",
                (long long)outputs[0], (long long)outputs[1]);
        }
        int64_t n = outputs[axis];
        *uneven = *uneven || size[axis] % n != 0;
        pooling->kernel[axis] = (int)(size[axis] / n);
        pooling->stride[axis] = pooling->kernel[axis];
    }
    layer->output[0]->shape = (struct shape){in.channels, (int)outputs[0], (int)outputs[1]};
    return STATUS_OK;
}

static status plan(struct layer *layer, const struct layer_plan *plan) {
    (void)plan;
    static const int64_t zeros[2] = {0, 0};
    const struct avgpool_options *o = layer->options;
    struct pooling pooling;
    bool uneven = false;
    if (o->adaptive[0] > 0 || o->adaptive[1] > 0) {
        TRY(plan_adaptive(&pooling, &uneven, layer, o->adaptive));
    } else {
        TRY(pooling_plan(&pooling, layer, o->global ? zeros : o->kernel,
            o->global ? zeros : o->stride, o->global ? zeros : o->pad, o->ceil));
    }
    struct shape in = layer->input[0]->shape, out = layer->output[0]->shape;
    struct state *state;
    TRY(memory_allocate((void **)&state, 1,
        sizeof *state + (size_t)out.height * (size_t)out.width * sizeof(float)));
    layer->state = state;
    layer->flags |= LAYER_HANDS_GRADIENT;
    state->pooling = pooling;
    state->uneven = uneven;
    for (int h = 0; h < out.height; h++) {
        for (int w = 0; w < out.width; w++) {
            int top, bottom, left, right;
            window_of(&top, &bottom, state, 0, h, in.height, out.height, o->count_pad);
            window_of(&left, &right, state, 1, w, in.width, out.width, o->count_pad);
            int count = o->sum ? 1 : (bottom - top) * (right - left);
            state->share[h * out.width + w] = 1.0f / (float)count;
        }
    }
    return STATUS_OK;
}

/* Inputs `stride` pixels apart and as many outputs: added to, or given their shares. */
static void run_tap(const struct layer_run *run, float *input, float *output, const float *share,
    int stride, int pixels, bool backward) {
    if (backward) {
        run->kernels->elementwise.pool_spread(input, output, share, stride, pixels);
    } else {
        run->kernels->elementwise.pool_sum(output, input, stride, pixels);
    }
}

/* Windows of several sizes: pixel by pixel. */
static void each_uneven_tap(const struct layer *layer, const struct layer_run *run,
    const struct tensor *in, const struct tensor *out, int n, int block, int h, bool backward) {
    const struct state *state = layer->state;
    const float *share = state->share + h * out->shape.width;
    int top, bottom, left, right;
    window_of(&top, &bottom, state, 0, h, in->shape.height, out->shape.height, false);
    for (int w = 0; w < out->shape.width; w++) {
        window_of(&left, &right, state, 1, w, in->shape.width, out->shape.width, false);
        float *output = tensor_at(out, n, block, h, w);
        for (int row = top; row < bottom; row++) {
            for (int column = left; column < right; column++) {
                float *input = tensor_at(in, n, block, row, column);
                run_tap(run, input, output, share + w, 1, 1, backward);
            }
        }
    }
}

/* Calls for every tap of output row h of a block that meets the input. */
static void each_tap(const struct layer *layer, const struct layer_run *run,
    const struct tensor *in, const struct tensor *out, int n, int block, int h, bool backward) {
    const struct state *state = layer->state;
    const struct pooling *pooling = &state->pooling;
    if (state->uneven) {
        each_uneven_tap(layer, run, in, out, n, block, h, backward);
        return;
    }
    for (int tap = 0; tap < pooling->kernel[0] * pooling->kernel[1]; tap++) {
        int kh = tap / pooling->kernel[1], kw = tap % pooling->kernel[1];
        int row = h * pooling->stride[0] + kh - pooling->pad[0], from, to;
        pooling_range(&from, &to, pooling, 1, kw, in->shape.width, out->shape.width);
        if (row < 0 || row >= in->shape.height || from >= to) {
            continue;
        }
        run_tap(run, tensor_at(in, n, block, row, from * pooling->stride[1] + kw - pooling->pad[1]),
            tensor_at(out, n, block, h, from), state->share + h * out->shape.width + from,
            pooling->stride[1], to - from, backward);
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
    struct handoff handoff;
    const struct epilogue *epilogue = handoff_gradient(&handoff, layer, run, pass);
#pragma omp parallel for num_threads(run->threads) schedule(static)
    for (int i = 0; i < pass->pictures * blocks; i++) {
        clear_rows(in, i / blocks, i % blocks);
        for (int h = 0; h < out->shape.height; h++) {
            each_tap(layer, run, in, out, i / blocks, i % blocks, h, true);
        }
        if (epilogue != NULL) {
            epilogue_block(epilogue, in->shape, i / blocks, i % blocks);
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
