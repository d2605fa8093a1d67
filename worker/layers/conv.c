/* Convolution (LeCun et al. 1989): out[o] = bias[o] + sum over i, kh, kw of weight[o][i][kh][kw] *
 * in[i]. Weights O x I / groups x KH x KW; with a table of connections, connections x KH x KW. */
#include "worker/initialise.h"
#include "worker/layers/conv_table.h"
#include "worker/layers/products.h"

struct conv_options {
    const char *name;
    int64_t out, kernel[2], stride[2], pad[2], dilation[2], groups;
    bool bias;
    const struct node *table;
    struct choice initialise;
};

#define FIELD(field, type_, initial_, low_, high_, help_)                                          \
    {                                                                                              \
        .name = #field, .type = type_, .offset = offsetof(struct conv_options, field),             \
        .initial = initial_, .low = low_, .high = high_, .flags = OPTION_CHANGES_BITS,             \
        .help = help_                                                                              \
    }
static const struct option conv_options[] = {{.name = "out",
                                                 .type = OPTION_INTEGER,
                                                 .offset = offsetof(struct conv_options, out),
                                                 .low = 1,
                                                 .high = 65536,
                                                 .flags = OPTION_REQUIRED | OPTION_CHANGES_BITS,
                                                 .help = "output channels"},
    FIELD(kernel, OPTION_PAIR, "3", 1, 255, "height and width of the kernel, or one for both"),
    FIELD(stride, OPTION_PAIR, "1", 1, 255, "step of the kernel, down and across"),
    FIELD(pad, OPTION_PAIR, "0", 0, 255, "rows and columns of zeros on every side"),
    FIELD(dilation, OPTION_PAIR, "1", 1, 255, "distance of the kernel's taps"),
    FIELD(groups, OPTION_INTEGER, "1", 1, 65536,
        "channels are cut into so many groups, each seen only by its own outputs"),
    FIELD(bias, OPTION_SWITCH, "true", 0, 0, "whether a constant is added to every channel"),
    {.name = "table",
        .type = OPTION_NODE,
        .offset = offsetof(struct conv_options, table),
        .flags = OPTION_CHANGES_BITS,
        .help = "for every output the list of the inputs it sees, from 0; without: all"},
    INITIALISE_OPTION(struct conv_options, initialise, "first weights (a bias starts at 0)"),
    LAYER_NAME_OPTION, OPTIONS_END};

static status plan(struct layer *layer, const struct layer_plan *plan) {
    const struct conv_options *o = layer->options;
    struct shape input = layer->input[0]->shape;
    if (input.channels % o->groups != 0 || o->out % o->groups != 0) {
        LAYER_FAIL(layer, "%d channels in and %lld out cannot be cut into %lld groups",
            input.channels, (long long)o->out, (long long)o->groups);
    }
    const struct convolution_shape shape = {
        .input = input,
        .output_channels = (int)o->out,
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
    if (o->table != NULL && o->groups > 1) {
        LAYER_FAIL(layer, "a table and %lld groups exclude each other", (long long)o->groups);
    }
    int64_t taps = o->kernel[0] * o->kernel[1];
    const struct parameter_declaration weight = {
        .suffix = "weight",
        .kind = PARAMETER_WEIGHT,
        .dimensions = 4,
        .dimension = {o->out, input.channels / o->groups, o->kernel[0], o->kernel[1]},
        .initialise = &o->initialise,
        .fan_in = input.channels / o->groups * taps,
        .fan_out = o->out / o->groups * taps,
    };
    TRY(products_plan(layer, plan, &shape, &weight, o->bias));
    if (o->table == NULL) {
        return STATUS_OK;
    }
    struct conv_table *table;
    TRY(conv_table_create(&table, layer, o->table, (int)o->out, o->kernel));
    status result = conv_table_declare(layer, table, o->kernel);
    if (result != STATUS_OK) {
        conv_table_destroy(table);
    }
    return result;
}

static void backward(
    const struct layer *layer, const struct layer_run *run, const struct pass *pass) {
    products_backward(layer, run, pass);
    if (conv_table_of(layer) != NULL) {
        conv_table_mask(layer, pass);
    }
}

static void release(struct layer *layer) {
    conv_table_destroy(conv_table_of(layer));
    products_release(layer);
}

const struct layer_operations layer_conv = {
    .kind = {.name = "conv",
        .help = "convolution",
        .options = conv_options,
        .options_size = sizeof(struct conv_options)},
    .plan = plan,
    .forward = products_forward,
    .backward = backward,
    .take_gradient = products_take_gradient,
    .release = release,
};
