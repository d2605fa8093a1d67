/* The largest of each window. Padding is no candidate: the border is never read. Training keeps a
 * byte an element, the tap that won (the first of equals); backward gives each gradient to it. */
#include "base/memory.h"
#include "worker/handoff.h"
#include "worker/layers/pooling.h"

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
    layer->saved_bytes = (size_t)plan->pictures * picture_lanes(output); /* the taps that won */
    layer->flags |= LAYER_HANDS_GRADIENT;
    return STATUS_OK;
}

static void forward_row(const struct layer *layer, const struct layer_run *run, uint8_t *place,
    int n, int block, int h) {
    const struct pooling *pooling = layer->state;
    const struct tensor *in = &layer->input[0]->activation, *out = &layer->output[0]->activation;
    int top, bottom, width = out->shape.width;
    pooling_taps(&top, &bottom, pooling, 0, h, in->shape.height);
    int row = h * pooling->stride[0] - pooling->pad[0] + top;
    for (int w = 0, past; w < width; w = past) { /* outputs whose windows have the same taps */
        int left, right, next_left, next_right;
        pooling_taps(&left, &right, pooling, 1, w, in->shape.width);
        for (past = w + 1; past < width; past++) {
            pooling_taps(&next_left, &next_right, pooling, 1, past, in->shape.width);
            if (next_left != left || next_right != right) {
                break;
            }
        }
        const struct elementwise_window window = {
            .rows = bottom - top,
            .columns = right - left,
            .row_stride = in->row_stride,
            .tap = top * pooling->kernel[1] + left,
            .tap_row = pooling->kernel[1],
            .next_rows = pooling->stride[0],
        };
        run->kernels->elementwise.pool_max(tensor_at(out, n, block, h, w),
            place + (ptrdiff_t)w * CHANNEL_BLOCK,
            tensor_at(in, n, block, row, w * pooling->stride[1] - pooling->pad[1] + left),
            pooling->stride[1], &window, past - w);
    }
}

static void forward(
    const struct layer *layer, const struct layer_run *run, const struct pass *pass) {
    struct shape shape = layer->output[0]->shape;
    int blocks = shape_blocks(shape.channels);
    size_t row = (size_t)shape.width * CHANNEL_BLOCK;
#pragma omp parallel for num_threads(run->threads) schedule(static)
    for (int i = 0; i < pass->pictures * blocks; i++) {
        uint8_t *place = (uint8_t *)layer->saved + (size_t)i * (size_t)shape.height * row;
        for (int h = 0; h < shape.height; h++) {
            forward_row(layer, run, place + (size_t)h * row, i / blocks, i % blocks, h);
        }
    }
}

/* The gradients of inputs `first`, `first` + stride, ... of a row, which windows [top, bottom)
 * reach. */
static void backward_row(const struct layer *layer, const struct layer_run *run,
    const uint8_t *place, int n, int block, int h, int first) {
    const struct pooling *pooling = layer->state;
    const struct tensor *in = &layer->input[0]->gradient, *out = &layer->output[0]->gradient;
    int stride = pooling->stride[1], width = in->shape.width, top, bottom;
    pooling_windows(&top, &bottom, pooling, 0, h, out->shape.height);
    int kh = h + pooling->pad[0] - top * pooling->stride[0];
    for (int w = first, past; w < width; w = past) { /* inputs that as many windows reach */
        int left, right, next_left, next_right, pixels = 1;
        pooling_windows(&left, &right, pooling, 1, w, out->shape.width);
        for (past = w + stride; past < width; past += stride, pixels++) {
            pooling_windows(&next_left, &next_right, pooling, 1, past, out->shape.width);
            if (next_left != left + pixels || next_right != right + pixels) {
                break;
            }
        }
        int last = right - 1, kw = w + pooling->pad[1] - last * stride;
        const struct elementwise_reach reach = {
            .rows = bottom - top,
            .columns = right - left,
            .row_stride = out->row_stride,
            .place_row_stride = (ptrdiff_t)out->shape.width * CHANNEL_BLOCK,
            .tap = kh * pooling->kernel[1] + kw,
            .tap_row = -pooling->stride[0] * pooling->kernel[1],
            .tap_column = stride,
            .next = in->row_stride,
        };
        run->kernels->elementwise.pool_max_backward(tensor_at(in, n, block, h, w), stride,
            tensor_at(out, n, block, top, last),
            place + ((ptrdiff_t)top * out->shape.width + last) * CHANNEL_BLOCK, &reach, pixels);
    }
}

static void backward_block(const struct layer *layer, const struct layer_run *run, int n, int block,
    const uint8_t *place) {
    const struct pooling *pooling = layer->state;
    for (int h = 0; h < layer->input[0]->shape.height; h++) {
        for (int first = 0; first < pooling->stride[1]; first++) {
            backward_row(layer, run, place, n, block, h, first);
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
