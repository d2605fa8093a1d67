#include "worker/kernels/convolution_operand.h"
#include "worker/kernels/winograd_plan.h"

#include <limits.h>
#include <stdlib.h>

static status output_axis(
    int *output, int input, int kernel, int stride, int pad, int dilation, const char *name) {
    if (input < 1 || kernel < 1 || stride < 1 || pad < 0 || dilation < 1) {
        FAIL(STATUS_USAGE,
            "convolution: %s: input %d, kernel %d, stride %d and dilation %d must be at least 1 "
            "and pad %d at least 0",
            name, input, kernel, stride, dilation, pad);
    }
    int64_t extent = (int64_t)dilation * (kernel - 1) + 1, padded = input + 2 * (int64_t)pad;
    if (extent > padded) {
        FAIL(STATUS_USAGE,
            "convolution: a kernel of %s %d (dilation %d) does not fit an input of %s %d with "
            "pad %d",
            name, kernel, dilation, name, input, pad);
    }
    int64_t pixels = (padded - extent) / stride + 1;
    if (padded > INT_MAX / CHANNEL_BLOCK || extent > INT_MAX / 2) {
        FAIL(STATUS_USAGE, "convolution: %s: input %d with pad %d is too large", name, input, pad);
    }
    *output = (int)pixels;
    return STATUS_OK;
}

status convolution_output(struct shape *output, const struct convolution_shape *shape) {
    struct shape in = shape->input;
    if (in.channels < 1 || shape->output_channels < 1 || shape->groups < 1 ||
        in.channels % shape->groups != 0 || shape->output_channels % shape->groups != 0) {
        FAIL(STATUS_USAGE, "convolution: groups %d must divide input channels %d and out %d",
            shape->groups, in.channels, shape->output_channels);
    }
    output->channels = shape->output_channels;
    TRY(output_axis(&output->height, in.height, shape->kernel_height, shape->stride_height,
        shape->pad_height, shape->dilation_height, "height"));
    TRY(output_axis(&output->width, in.width, shape->kernel_width, shape->stride_width,
        shape->pad_width, shape->dilation_width, "width"));
    int64_t pixels = (int64_t)output->height * output->width;
    if (pixels > INT_MAX / ((int64_t)output->channels + CHANNEL_BLOCK)) {
        FAIL(STATUS_USAGE, "convolution: output %dx%dx%d is too large", output->channels,
            output->height, output->width);
    }
    return STATUS_OK;
}

void convolution_phase_init(
    struct convolution_phase *phase, const struct convolution_axis *axis, int number) {
    *phase = (struct convolution_phase){
        .first = number,
        .count = (axis->input - number + axis->phase_stride - 1) / axis->phase_stride,
    };
    int64_t stride = axis->phase_stride;
    for (int tap = axis->kernel - 1; tap >= 0; tap--) {
        int64_t distance = (int64_t)number + axis->pad - (int64_t)tap * axis->dilation;
        if (distance % stride != 0) {
            continue;
        }
        int offset = (int)(distance / stride);
        if (phase->taps == 0) {
            phase->tap = tap;
            phase->offset = offset;
        } else if (phase->taps == 1) {
            phase->tap_step = phase->tap - tap;
            phase->offset_step = offset - phase->offset;
        }
        phase->taps++;
    }
}

static void init_axis(struct convolution_axis *axis, int input, int output, int kernel, int stride,
    int pad, int dilation) {
    *axis = (struct convolution_axis){input, output, kernel, stride, pad, dilation, 0, stride, 0};
    if (output == 1) {
        int extent = (kernel - 1) * dilation + 1;
        axis->phase_stride = input + pad > extent ? input + pad : extent;
    }
    axis->phases = axis->phase_stride < input ? axis->phase_stride : input;
    for (int number = 0; number < axis->phases; number++) {
        struct convolution_phase phase;
        convolution_phase_init(&phase, axis, number);
        if (phase.taps == 0) {
            continue;
        }
        int low = -phase.offset;
        int high = phase.offset + (phase.taps - 1) * phase.offset_step + phase.count - output;
        int most = low > high ? low : high;
        axis->gradient_border = most > axis->gradient_border ? most : axis->gradient_border;
    }
}

/* Tiles of one side; groups are of `own` channels here and `other` on the other side. */
static status init_side(struct channel_side *side, int channels, int other_channels, int groups) {
    int own = channels / groups, other = other_channels / groups;
    int blocks = shape_blocks(channels);
    side->channels = channels;
    side->tile_blocks = groups == 1 || own % (2 * CHANNEL_BLOCK) == 0 ? 2 : 1;
    side->tiles = (blocks + side->tile_blocks - 1) / side->tile_blocks;
    TRY(MEMORY_ALLOCATE(&side->tile, (size_t)side->tiles));
    for (int t = 0; t < side->tiles; t++) {
        struct channel_tile *tile = &side->tile[t];
        tile->block = t * side->tile_blocks;
        tile->blocks =
            blocks - tile->block < side->tile_blocks ? blocks - tile->block : side->tile_blocks;
        int first = tile->block * CHANNEL_BLOCK, past = first + channel_tile_width(tile);
        int last = (past < channels ? past : channels) - 1;
        tile->other_block = first / own * other / CHANNEL_BLOCK;
        tile->other_blocks = shape_blocks((last / own + 1) * other) - tile->other_block;
    }
    return STATUS_OK;
}

static size_t most(size_t a, size_t b) {
    return a > b ? a : b;
}

status convolution_create(struct convolution **convolution, const struct convolution_shape *shape,
    const struct kernels *kernels, enum engine_kernels engine, enum engine_winograd winograd,
    int threads, int pictures, int leaves) {
    status result = STATUS_OK;
    struct convolution *c = NULL;
    struct shape output;
    *convolution = NULL;
    TRY(convolution_output(&output, shape));
    TRY(MEMORY_ALLOCATE(&c, 1));
    c->shape = *shape;
    c->kernels = kernels;
    c->engine = engine;
    c->threads = threads;
    c->pictures = pictures;
    c->leaves = leaves;
    init_axis(&c->height, shape->input.height, output.height, shape->kernel_height,
        shape->stride_height, shape->pad_height, shape->dilation_height);
    init_axis(&c->width, shape->input.width, output.width, shape->kernel_width, shape->stride_width,
        shape->pad_width, shape->dilation_width);
    int in = shape->input.channels, out = output.channels, groups = shape->groups;
    c->masked =
        groups > 1 && (in / groups % CHANNEL_BLOCK != 0 || out / groups % CHANNEL_BLOCK != 0);
    TRY_TO(failed, result, init_side(&c->input, in, out, groups));
    TRY_TO(failed, result, init_side(&c->output, out, in, groups));
    for (int t = 0; t < c->output.tiles; t++) {
        struct channel_tile *tile = &c->output.tile[t];
        tile->offset = c->packed;
        c->packed += (size_t)tile->other_blocks * (size_t)shape->kernel_height *
                     (size_t)shape->kernel_width * CHANNEL_BLOCK * (size_t)channel_tile_width(tile);
    }
    c->scratch = convolution_backward_bias_scratch(c);
    c->winograd = engine == ENGINE_CONVOY ? winograd_choose(c, winograd) : NULL;
    if (c->winograd != NULL) {
        c->scratch = most(c->scratch, winograd_scratch(c));
    } else if (engine == ENGINE_BLAS) {
        c->scratch = most(c->scratch, convolution_blas_scratch(c));
    } else if (convolution_is_depthwise(c)) {
        c->depthwise = true;
        c->scratch = most(c->scratch, convolution_depthwise_scratch(c));
        c->scratch = most(c->scratch, convolution_backward_weights_scratch(c));
    } else {
        c->gather = convolution_gather_of(c);
        c->scratch = most(c->scratch, convolution_forward_scratch(c));
        c->scratch = most(c->scratch, convolution_backward_data_scratch(c));
        c->scratch = most(c->scratch, convolution_backward_weights_scratch(c));
    }
    *convolution = c;
    return STATUS_OK;
failed:
    convolution_destroy(c);
    return result;
}

void convolution_destroy(struct convolution *convolution) {
    if (convolution != NULL) {
        free(convolution->input.tile);
        free(convolution->output.tile);
        free(convolution);
    }
}

void convolution_input_border(int *height, int *width, const struct convolution *convolution) {
    *height = convolution->height.pad;
    *width = convolution->width.pad;
}

void convolution_gradient_border(int *height, int *width, const struct convolution *convolution) {
    *height = convolution->height.gradient_border;
    *width = convolution->width.gradient_border;
}

const struct convolution_shape *convolution_get_shape(const struct convolution *convolution) {
    return &convolution->shape;
}

size_t convolution_packed_size(const struct convolution *convolution) {
    return convolution->packed;
}

size_t convolution_scratch_bytes(const struct convolution *convolution) {
    return convolution->scratch;
}

int64_t convolution_multiply_adds(const struct convolution *convolution) {
    const struct convolution_shape *shape = &convolution->shape;
    return (int64_t)convolution->height.output * convolution->width.output *
           shape->output_channels * (shape->input.channels / shape->groups) * shape->kernel_height *
           shape->kernel_width;
}

bool convolution_is_winograd(const struct convolution *convolution) {
    return convolution->winograd != NULL;
}
