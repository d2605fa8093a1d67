/* The largest of each window. Padding is no candidate: the border is never read. Training keeps a
 * byte an element, the tap that won (the first of equals); backward gives each gradient to it. */
#include "base/memory.h"
#include "worker/layers/pooling.h"

struct maxpool_options {
    const char *name;
    int64_t kernel[2], stride[2], pad[2], adaptive[2];
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
    {.name = "adaptive",
        .type = OPTION_PAIR,
        .offset = offsetof(struct maxpool_options, adaptive),
        .low = 0,
        .high = 65536,
        .flags = OPTION_CHANGES_BITS,
        .help = "height and width of the output, in place of kernel, stride and pad; 0: off"},
    POOLING_CEIL_OPTION(struct maxpool_options), LAYER_NAME_OPTION, OPTIONS_END};

struct state {
    struct pooling pooling;
    int columns;                      /* of the widest window: taps are numbered by its rows */
    int outputs, inputs;              /* stretches of a row's outputs and inputs */
    struct pooling_stretch stretch[]; /* those of the outputs first */
};

/* Elements of one output picture, padding lanes counted. */
static size_t picture_lanes(struct shape shape) {
    return (size_t)shape_blocks(shape.channels) * (size_t)shape.height * (size_t)shape.width *
           CHANNEL_BLOCK;
}

/* Rows, or columns, of the largest window. */
static int largest_window(const struct pooling *pooling, int axis, int size, int outputs) {
    int most = pooling->kernel[axis];
    for (int i = 0; i < (pooling->outputs[axis] > 0 ? outputs : 0); i++) {
        int from, to;
        pooling_taps(&from, &to, pooling, axis, i, size);
        most = to - from > most ? to - from : most;
    }
    return most;
}

/* An input is in two adaptive windows at most, so that tap numbers rise evenly from one to the next
 * (elsewhere by the stride): not where there are more outputs than inputs. */
static status plan_windows(struct pooling *pooling, struct layer *layer) {
    const struct maxpool_options *o = layer->options;
    if (o->adaptive[0] == 0 && o->adaptive[1] == 0) {
        return pooling_plan(pooling, layer, o->kernel, o->stride, o->pad, o->ceil);
    }
    struct shape in = layer->input[0]->shape;
    TRY(pooling_plan_adaptive(pooling, layer, o->adaptive));
    if (o->adaptive[0] > in.height || o->adaptive[1] > in.width) {
        LAYER_FAIL(layer, "adaptive: %lldx%lld outputs of %dx%d inputs", (long long)o->adaptive[0],
            (long long)o->adaptive[1], in.height, in.width);
    }
    return STATUS_OK;
}

static status plan(struct layer *layer, const struct layer_plan *plan) {
    struct pooling pooling;
    TRY(plan_windows(&pooling, layer));
    struct shape input = layer->input[0]->shape, output = layer->output[0]->shape;
    int rows = largest_window(&pooling, 0, input.height, output.height);
    int columns = largest_window(&pooling, 1, input.width, output.width);
    if ((int64_t)rows * columns > 256) {
        LAYER_FAIL(layer, "a window of %dx%d has more than 256 elements", rows, columns);
    }
    struct state *state;
    TRY(memory_allocate((void **)&state, 1,
        sizeof *state + (size_t)(input.width + output.width) * sizeof state->stretch[0]));
    layer->state = state;
    state->pooling = pooling;
    state->columns = columns;
    state->outputs = pooling_cut_outputs(state->stretch, &pooling, 1, input.width, output.width);
    state->inputs =
        pooling_cut_inputs(state->stretch + state->outputs, &pooling, 1, input.width, output.width);
    layer->saved_bytes = (size_t)plan->pictures * picture_lanes(output); /* the taps that won */
    layer->flags |= LAYER_HANDS_GRADIENT;
    return STATUS_OK;
}

/* The taps that won in a channel block. */
static uint8_t *places_of(const struct layer *layer, int picture, int block) {
    struct shape out = layer->output[0]->shape;
    size_t index = (size_t)picture * (size_t)shape_blocks(out.channels) + (size_t)block;
    return (uint8_t *)layer->saved + index * (size_t)out.height * (size_t)out.width * CHANNEL_BLOCK;
}

static void forward_row(
    const struct layer *layer, const struct layer_run *run, int n, int block, int h) {
    const struct state *state = layer->state;
    const struct pooling *pooling = &state->pooling;
    const struct tensor *in = &layer->input[0]->activation, *out = &layer->output[0]->activation;
    int top, bottom;
    pooling_taps(&top, &bottom, pooling, 0, h, in->shape.height);
    int row = pooling_begin(pooling, 0, h, in->shape.height) + top;
    uint8_t *place = places_of(layer, n, block) + (ptrdiff_t)h * out->shape.width * CHANNEL_BLOCK;
    for (int s = 0; s < state->outputs; s++) {
        const struct pooling_stretch *part = &state->stretch[s];
        const struct pooling_window window = {
            .rows = bottom - top,
            .columns = part->to - part->from,
            .row_stride = in->row_stride,
            .tap = top * state->columns + part->from,
            .tap_row = state->columns,
            .next_rows = pooling->stride[0],
        };
        int column = pooling_begin(pooling, 1, part->first, in->shape.width) + part->from;
        run->kernels->pooling.max(tensor_at(out, n, block, h, part->first),
            place + (ptrdiff_t)part->first * CHANNEL_BLOCK, tensor_at(in, n, block, row, column),
            pooling->stride[1], &window, part->count);
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
    int stride = pooling->stride[1], top, bottom;
    pooling_windows(&top, &bottom, pooling, 0, h, in->shape.height, out->shape.height);
    int first = pooling_begin(pooling, 0, top, in->shape.height);
    int next = pooling_begin(pooling, 0, top + 1, in->shape.height);
    const uint8_t *place = places_of(layer, n, block);
    for (int s = 0; s < state->inputs; s++) {
        const struct pooling_stretch *part = &state->stretch[state->outputs + s];
        int last = part->to - 1, begin = pooling_begin(pooling, 1, last, in->shape.width);
        const struct pooling_reach reach = {
            .rows = bottom - top,
            .columns = part->to - part->from,
            .row_stride = out->row_stride,
            .place_row_stride = (ptrdiff_t)out->shape.width * CHANNEL_BLOCK,
            .tap = (h - first) * state->columns + part->first - begin,
            .tap_row = (first - next) * state->columns,
            .tap_column = begin - pooling_begin(pooling, 1, last - 1, in->shape.width),
            .next = in->row_stride,
        };
        run->kernels->pooling.max_backward(tensor_at(in, n, block, h, part->first), stride,
            tensor_at(out, n, block, top, last),
            place + ((ptrdiff_t)top * out->shape.width + last) * CHANNEL_BLOCK, &reach,
            part->count);
    }
}

static void backward(
    const struct layer *layer, const struct layer_run *run, const struct pass *pass) {
    pooling_backward(layer, run, pass, backward_row);
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
