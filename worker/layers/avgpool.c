/* The mean of each window, or of the whole picture. Whether padding counts as so many zeros or not
 * at all is an option. Backward every input gathers from the outputs that hold it. */
#include "base/memory.h"
#include "worker/layers/pooling.h"

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
        .help = "one window, the whole picture, in place of kernel, stride and pad"},
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
    struct pooling pooling;
    bool equal;                      /* all shares are the same */
    bool one;                        /* all inputs of a row are in its one window */
    int outputs, inputs;             /* stretches of a row's outputs and inputs */
    struct pooling_stretch *stretch; /* those of the outputs first */
    float share[]; /* [height][width] of the output: what a sum is multiplied with */
};

/* Inputs of a window along an axis that its mean counts, padding too where it may. */
static int counted(const struct pooling *pooling, int axis, int output, int size, bool count_pad) {
    int from, to;
    pooling_taps(&from, &to, pooling, axis, output, size);
    if (count_pad && pooling->outputs[axis] == 0) {
        int room = size + pooling->pad[axis] - pooling_begin(pooling, axis, output, size);
        return room < pooling->kernel[axis] ? room : pooling->kernel[axis];
    }
    return to - from;
}

static void plan_shares(
    struct state *state, struct shape in, struct shape out, bool count_pad, bool sum) {
    state->equal = true;
    for (int h = 0; h < out.height; h++) {
        int rows = counted(&state->pooling, 0, h, in.height, count_pad);
        for (int w = 0; w < out.width; w++) {
            int columns = counted(&state->pooling, 1, w, in.width, count_pad);
            float share = 1.0f / (float)(sum ? 1 : rows * columns);
            state->share[h * out.width + w] = share;
            state->equal = state->equal && share == state->share[0];
        }
    }
}

/* Of a row that has one window, all inputs are a stretch: else there would be one for each. */
static void plan_one(struct state *state, int width, int outputs) {
    int from, to;
    pooling_taps(&from, &to, &state->pooling, 1, 0, width);
    state->one = outputs == 1 && state->equal && to - from == width;
    if (state->one) {
        state->inputs = 1;
        state->stretch[state->outputs] = (struct pooling_stretch){0, width, 0, 1};
    }
}

static status plan(struct layer *layer, const struct layer_plan *plan) {
    (void)plan;
    static const int64_t zeros[2] = {0, 0};
    static const char *const beside_global[] = {
        "kernel", "stride", "pad", "ceil", "count_pad", NULL};
    const struct avgpool_options *o = layer->options;
    struct pooling pooling;
    if (o->adaptive[0] > 0 || o->adaptive[1] > 0) {
        TRY(pooling_plan_adaptive(&pooling, layer, o->adaptive));
    } else if (o->global) {
        TRY(layer_refuse_beside(layer, "global", beside_global));
        TRY(pooling_plan(&pooling, layer, zeros, zeros, zeros, false));
    } else {
        TRY(pooling_plan(&pooling, layer, o->kernel, o->stride, o->pad, o->ceil));
    }
    struct shape in = layer->input[0]->shape, out = layer->output[0]->shape;
    size_t shares = (size_t)out.height * (size_t)out.width;
    size_t stretches = (size_t)in.width + (size_t)out.width;
    struct state *state;
    TRY(memory_allocate((void **)&state, 1,
        sizeof *state + stretches * sizeof state->stretch[0] + shares * sizeof state->share[0]));
    layer->state = state;
    layer->flags |= LAYER_HANDS_GRADIENT;
    state->pooling = pooling;
    state->stretch = (struct pooling_stretch *)(void *)(state->share + shares);
    state->outputs = pooling_cut_outputs(state->stretch, &pooling, 1, in.width, out.width);
    state->inputs =
        pooling_cut_inputs(state->stretch + state->outputs, &pooling, 1, in.width, out.width);
    plan_shares(state, in, out, o->count_pad, o->sum);
    plan_one(state, in.width, out.width);
    return STATUS_OK;
}

static void forward_row(
    const struct layer *layer, const struct layer_run *run, int n, int block, int h) {
    const struct state *state = layer->state;
    const struct pooling *pooling = &state->pooling;
    const struct tensor *in = &layer->input[0]->activation, *out = &layer->output[0]->activation;
    int top, bottom;
    pooling_taps(&top, &bottom, pooling, 0, h, in->shape.height);
    int row = pooling_begin(pooling, 0, h, in->shape.height) + top;
    for (int s = 0; s < state->outputs; s++) {
        const struct pooling_stretch *part = &state->stretch[s];
        const struct pooling_window window = {
            .rows = bottom - top,
            .columns = part->to - part->from,
            .row_stride = in->row_stride,
            .next_rows = pooling->stride[0],
        };
        int column = pooling_begin(pooling, 1, part->first, in->shape.width) + part->from;
        run->kernels->pooling.mean(tensor_at(out, n, block, h, part->first),
            tensor_at(in, n, block, row, column), pooling->stride[1], &window,
            state->share + h * out->shape.width + part->first, part->count);
    }
}

static void forward(
    const struct layer *layer, const struct layer_run *run, const struct pass *pass) {
    pooling_forward(layer, run, pass, forward_row);
}

/* The gradients of row h of a block. */
static void backward_row(
    const struct layer *layer, const struct layer_run *run, int n, int block, int h) {
    const struct state *state = layer->state;
    const struct pooling *pooling = &state->pooling;
    const struct tensor *in = &layer->input[0]->gradient, *out = &layer->output[0]->gradient;
    int top, bottom;
    pooling_windows(&top, &bottom, pooling, 0, h, in->shape.height, out->shape.height);
    for (int s = 0; s < state->inputs; s++) {
        const struct pooling_stretch *part = &state->stretch[state->outputs + s];
        const struct pooling_reach reach = {
            .rows = bottom - top,
            .columns = part->to - part->from,
            .row_stride = out->row_stride,
            .place_row_stride = (ptrdiff_t)out->shape.width * CHANNEL_BLOCK,
            .column_step = state->one ? 0 : CHANNEL_BLOCK,
            .next = in->row_stride,
        };
        const float *share = state->share;
        share += state->equal ? 0 : top * out->shape.width + part->to - 1;
        run->kernels->pooling.mean_backward(tensor_at(in, n, block, h, part->first),
            state->one ? 1 : pooling->stride[1], tensor_at(out, n, block, top, part->to - 1), share,
            state->equal, &reach, part->count);
    }
}

static void backward(
    const struct layer *layer, const struct layer_run *run, const struct pass *pass) {
    pooling_backward(layer, run, pass, backward_row);
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
