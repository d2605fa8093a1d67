/* A convolution without bias, its batch norm and a rectifier: the unit of the Inception networks
 * since Ioffe and Szegedy 2015. Called as torchvision's BasicConv2d: `conv1.conv`, `conv1.bn`. */
#include "worker/containers/containers.h"

struct basic_conv_options {
    const char *name;
    int64_t out, kernel[2], stride[2], pad[2];
};

#define FIELD(field, type_, initial_, low_, flags_, help_)                                         \
    {                                                                                              \
        .name = #field, .type = type_, .offset = offsetof(struct basic_conv_options, field),       \
        .initial = initial_, .low = low_, .high = 65536, .flags = OPTION_CHANGES_BITS | (flags_),  \
        .help = help_                                                                              \
    }
static const struct option basic_conv_options[] = {
    FIELD(out, OPTION_INTEGER, NULL, 1, OPTION_REQUIRED, "output channels"),
    FIELD(kernel, OPTION_PAIR, "3", 1, 0, "height and width of the kernel, or one for both"),
    FIELD(stride, OPTION_PAIR, "1", 1, 0, "step of the kernel, down and across"),
    FIELD(pad, OPTION_PAIR, "0", 0, 0, "rows and columns of zeros on every side"),
    LAYER_NAME_OPTION, OPTIONS_END};

static status expand(struct graph *graph, const struct graph_scope *scope, const void *options,
    const struct node *node) {
    const struct basic_conv_options *o = options;
    TRY(graph_add_line(graph, scope, node,
        "conv name=conv out=%lld kernel=%lld,%lld stride=%lld,%lld pad=%lld,%lld bias=false",
        (long long)o->out, (long long)o->kernel[0], (long long)o->kernel[1],
        (long long)o->stride[0], (long long)o->stride[1], (long long)o->pad[0],
        (long long)o->pad[1]));
    TRY(graph_add_line(graph, scope, node, "batchnorm name=bn eps=0.001"));
    return graph_add_line(graph, scope, node, "relu name=relu");
}

const struct layer_operations container_basic_conv = {
    .kind = {.name = "basic_conv",
        .help = "convolution, batch norm and rectifier",
        .options = basic_conv_options,
        .options_size = sizeof(struct basic_conv_options)},
    .expand = expand,
};
