/* A linear layer: every output is a weighted sum of all inputs, which are taken in the order C, H,
 * W whatever their shape. Weights O x (C * H * W). */
#include "worker/initialise.h"
#include "worker/layers/products.h"

struct linear_options {
    const char *name;
    int64_t out;
    bool bias;
    struct choice initialise;
};

static const struct option linear_options[] = {{.name = "out",
                                                   .type = OPTION_INTEGER,
                                                   .offset = offsetof(struct linear_options, out),
                                                   .low = 1,
                                                   .high = 1 << 20,
                                                   .flags = OPTION_REQUIRED | OPTION_CHANGES_BITS,
                                                   .help = "outputs"},
    {.name = "bias",
        .type = OPTION_SWITCH,
        .offset = offsetof(struct linear_options, bias),
        .initial = "true",
        .flags = OPTION_CHANGES_BITS,
        .help = "whether a constant is added to every output"},
    INITIALISE_OPTION(struct linear_options, initialise, "first weights (a bias starts at 0)"),
    LAYER_NAME_OPTION, OPTIONS_END};

static status plan(struct layer *layer, const struct layer_plan *plan) {
    const struct linear_options *o = layer->options;
    struct shape input = layer->input[0]->shape;
    const struct convolution_shape shape = {
        .input = input,
        .output_channels = (int)o->out,
        .kernel_height = input.height,
        .kernel_width = input.width,
        .stride_height = 1,
        .stride_width = 1,
        .dilation_height = 1,
        .dilation_width = 1,
        .groups = 1,
    };
    int64_t inputs = (int64_t)shape_elements(input);
    const struct parameter_declaration weight = {
        .suffix = "weight",
        .kind = PARAMETER_WEIGHT,
        .dimensions = 2,
        .dimension = {o->out, inputs},
        .initialise = &o->initialise,
        .fan_in = inputs,
        .fan_out = o->out,
    };
    return products_plan(layer, plan, &shape, &weight, o->bias);
}

const struct layer_operations layer_linear = {
    .kind = {.name = "linear",
        .help = "weighted sums of all inputs; takes any shape, so that no flatten is needed before",
        .options = linear_options,
        .options_size = sizeof(struct linear_options)},
    .plan = plan,
    .forward = products_forward,
    .backward = products_backward,
    .take_gradient = products_take_gradient,
    .release = products_release,
};
