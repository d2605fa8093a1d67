/* Transposed convolution (Zeiler et al., "Deconvolutional networks", 2010): what a convolution does
 * to gradients, as a layer that makes maps larger. Input pixel y and tap k reach output pixel
 * y * stride - pad + k * dilation. Weights I x O / groups x KH x KW.
 *
 * It is planned as the convolution from its output to its input, whose directions change places:
 * forward is backward-data, the gradient of the input is forward, and backward-weights takes the
 * output's gradient for the input. */
#include "worker/handoff.h"
#include "worker/initialise.h"
#include "worker/layers/products.h"

#include <limits.h>

struct conv_transpose_options {
    const char *name;
    int64_t out, kernel[2], stride[2], pad[2], output_pad[2], dilation[2], groups;
    bool bias;
    struct choice initialise;
};

#define FIELD(field, type_, initial_, low_, high_, help_)                                          \
    {                                                                                              \
        .name = #field, .type = type_, .offset = offsetof(struct conv_transpose_options, field),   \
        .initial = initial_, .low = low_, .high = high_, .flags = OPTION_CHANGES_BITS,             \
        .help = help_                                                                              \
    }
static const struct option conv_transpose_options[] = {
    {.name = "out",
        .type = OPTION_INTEGER,
        .offset = offsetof(struct conv_transpose_options, out),
        .low = 1,
        .high = 65536,
        .flags = OPTION_REQUIRED | OPTION_CHANGES_BITS,
        .help = "output channels"},
    FIELD(kernel, OPTION_PAIR, "3", 1, 255, "height and width of the kernel, or one for both"),
    FIELD(stride, OPTION_PAIR, "1", 1, 255, "by how much maps grow, down and across"),
    FIELD(pad, OPTION_PAIR, "0", 0, 255, "rows and columns taken away on every side"),
    FIELD(output_pad, OPTION_PAIR, "0", 0, 254,
        "rows and columns added at the bottom and on the right; fewer than stride"),
    FIELD(dilation, OPTION_PAIR, "1", 1, 255, "distance of the kernel's taps"),
    FIELD(groups, OPTION_INTEGER, "1", 1, 65536,
        "channels are cut into so many groups, each seen only by its own outputs"),
    FIELD(bias, OPTION_SWITCH, "true", 0, 0, "whether a constant is added to every channel"),
    INITIALISE_OPTION(
        struct conv_transpose_options, initialise, "first weights (a bias starts at 0)"),
    LAYER_NAME_OPTION, OPTIONS_END};

/* The output's pixels along one axis: 0 is height, 1 is width. */
static status output_axis(int *output, const struct layer *layer, int axis, int input) {
    static const char *const names[] = {"height", "width"};
    const struct conv_transpose_options *o = layer->options;
    if (o->output_pad[axis] >= o->stride[axis]) {
        LAYER_FAIL(layer, "%s: output_pad %lld must be less than stride %lld", names[axis],
            (long long)o->output_pad[axis], (long long)o->stride[axis]);
    }
    int64_t pixels = (input - 1) * o->stride[axis] - 2 * o->pad[axis] +
                     o->dilation[axis] * (o->kernel[axis] - 1) + o->output_pad[axis] + 1;
    if (pixels < 1 || pixels > INT_MAX) {
        LAYER_FAIL(layer, "an input of %s %d makes an output of %s %lld", names[axis], input,
            names[axis], (long long)pixels);
    }
    *output = (int)pixels;
    return STATUS_OK;
}

static status plan_output(struct shape *output, const struct layer *layer) {
    const struct conv_transpose_options *o = layer->options;
    struct shape input = layer->input[0]->shape;
    if (input.channels % o->groups != 0 || o->out % o->groups != 0) {
        LAYER_FAIL(layer, "%d channels in and %lld out cannot be cut into %lld groups",
            input.channels, (long long)o->out, (long long)o->groups);
    }
    output->channels = (int)o->out;
    TRY(output_axis(&output->height, layer, 0, input.height));
    TRY(output_axis(&output->width, layer, 1, input.width));
    int64_t pixels = (int64_t)output->height * output->width;
    if (pixels > INT_MAX / (o->out + CHANNEL_BLOCK)) {
        LAYER_FAIL(layer, "an output of %dx%dx%d is too large", output->channels, output->height,
            output->width);
    }
    return STATUS_OK;
}

static status plan(struct layer *layer, const struct layer_plan *plan) {
    const struct conv_transpose_options *o = layer->options;
    struct shape *output = &layer->output[0]->shape, input = layer->input[0]->shape, back;
    TRY(plan_output(output, layer));
    const struct convolution_shape shape = {
        .input = *output,
        .output_channels = input.channels,
        .kernel_height = (int)o->kernel[0],
        .kernel_width = (int)o->kernel[1],
        .stride_height = (int)o->stride[0],
        .stride_width = (int)o->stride[1],
        .pad_height = (int)o->pad[0],
        .pad_width = (int)o->pad[1],
        .dilation_height = (int)o->dilation[0],
        .dilation_width = (int)o->dilation[1],
        .groups = (int)o->groups,
    };
    TRY(products_output(&back, layer, &shape)); /* which is the input's shape again */
    int64_t taps = o->kernel[0] * o->kernel[1];
    const struct parameter_declaration weight = {
        .suffix = "weight",
        .kind = PARAMETER_WEIGHT,
        .dimensions = 4,
        .dimension = {input.channels, o->out / o->groups, o->kernel[0], o->kernel[1]},
        .initialise = &o->initialise,
        .fan_in = input.channels / o->groups * taps,
        .fan_out = o->out / o->groups * taps,
    };
    TRY(products_declare(layer, plan, &shape, &weight, o->bias));
    convolution_gradient_border(&layer->input_border[0], &layer->input_border[1], layer->state);
    convolution_input_border(&layer->gradient_border[0], &layer->gradient_border[1], layer->state);
    return products_name_kernels(layer, true);
}

static void forward(
    const struct layer *layer, const struct layer_run *run, const struct pass *pass) {
    bool has = layer->parameters > PRODUCTS_BIAS;
    struct handoff handoff;
    convolution_backward_data(&layer->output[0]->activation, &layer->input[0]->activation,
        layer_weights(layer, run, PRODUCTS_WEIGHT),
        has ? layer_weights(layer, run, PRODUCTS_BIAS) : NULL, pass->pictures, layer->state,
        handoff_output(&handoff, layer, run, pass), run->scratch);
}

static void backward(
    const struct layer *layer, const struct layer_run *run, const struct pass *pass) {
    const struct tensor *output_gradient = &layer->output[0]->gradient;
    float *out[TREE_SUBTREES_LIMIT];
    layer_gradients(out, layer, pass, PRODUCTS_WEIGHT);
    convolution_backward_weights(
        out, output_gradient, &layer->input[0]->activation, pass, layer->state, run->scratch);
    if (layer->parameters > PRODUCTS_BIAS) {
        layer_gradients(out, layer, pass, PRODUCTS_BIAS);
        convolution_backward_bias(out, output_gradient, pass, layer->state, run->scratch);
    }
    layer_weights_done(layer, run);
    if (layer->input[0]->gradient.data != NULL) {
        struct handoff handoff;
        convolution_forward(&layer->input[0]->gradient, output_gradient,
            layer_weights(layer, run, PRODUCTS_WEIGHT), NULL, pass->pictures, layer->state,
            handoff_gradient(&handoff, layer, run, pass), run->scratch);
    }
}

const struct layer_operations layer_conv_transpose = {
    .kind = {.name = "conv_transpose",
        .help = "transposed convolution: makes maps larger",
        .options = conv_transpose_options,
        .options_size = sizeof(struct conv_transpose_options)},
    .plan = plan,
    .forward = forward,
    .backward = backward,
    .take_gradient = products_take_gradient,
    .release = products_release,
};
