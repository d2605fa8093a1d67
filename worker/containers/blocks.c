/* The residual blocks of He et al. 2015, named as in torchvision: `layer1.0.conv1`, `layer1.0.bn1`,
 * ..., `layer1.0.downsample.0` (the projection) and `.1` (its norm), or `layer1.0.shortcut`. */
#include "worker/containers/containers.h"

#define BOTTLENECK_EXPANSION 4 /* channels out of a bottleneck, over its width */

enum stride_place { STRIDE_SECOND, STRIDE_FIRST };
static const char *const stride_places[] = {"second", "first", NULL};
enum shortcut { SHORTCUT_PROJECTION, SHORTCUT_ZEROS };
static const char *const shortcuts[] = {"projection", "zeros", NULL};

struct block_options {
    const char *name;
    int64_t width, repeat, stride;
    int stride_on, shortcut;
};

#define WIDTH_OPTION                                                                               \
    {                                                                                              \
        .name = "width", .type = OPTION_INTEGER, .offset = offsetof(struct block_options, width),  \
        .low = 1, .high = 16384, .flags = OPTION_REQUIRED | OPTION_CHANGES_BITS,                   \
        .help = "channels of its 3x3 convolutions"                                                 \
    }
#define STRIDE_OPTION                                                                              \
    {                                                                                              \
        .name = "stride", .type = OPTION_INTEGER,                                                  \
        .offset = offsetof(struct block_options, stride), .initial = "1", .low = 1, .high = 16,    \
        .flags = OPTION_CHANGES_BITS, .help = "step of the first block"                            \
    }
#define SHORTCUT_OPTION                                                                            \
    {                                                                                              \
        .name = "shortcut", .type = OPTION_NAME,                                                   \
        .offset = offsetof(struct block_options, shortcut), .initial = "projection",               \
        .flags = OPTION_CHANGES_BITS,                                                              \
        .help = "to other channels or pixels: projection, a 1x1 convolution and batch norm; or "   \
                "zeros, channels of zeros added (He et al.'s option A)",                           \
        .names = shortcuts                                                                         \
    }
static const struct option bottleneck_options[] = {WIDTH_OPTION, STRIDE_OPTION, SHORTCUT_OPTION,
    CONTAINER_REPEAT_OPTION(struct block_options),
    {.name = "stride_on",
        .type = OPTION_NAME,
        .offset = offsetof(struct block_options, stride_on),
        .initial = "second",
        .flags = OPTION_CHANGES_BITS,
        .help = "the convolution that steps: second (as torchvision) or first (as He et al.)",
        .names = stride_places},
    LAYER_NAME_OPTION, OPTIONS_END};
static const struct option basic_block_options[] = {WIDTH_OPTION, STRIDE_OPTION, SHORTCUT_OPTION,
    CONTAINER_REPEAT_OPTION(struct block_options), LAYER_NAME_OPTION, OPTIONS_END};

/* Convolution and batch norm number `number` of a body. */
static status add_conv(struct graph *graph, const struct graph_scope *scope,
    const struct node *node, int number, int64_t out, int kernel, int64_t stride) {
    TRY(graph_add_line(graph, scope, node,
        "conv name=conv%d out=%lld kernel=%d stride=%lld pad=%d bias=false", number, (long long)out,
        kernel, (long long)stride, kernel / 2));
    return graph_add_line(graph, scope, node, "batchnorm name=bn%d", number);
}

static status add_relu(
    struct graph *graph, const struct graph_scope *scope, const struct node *node, int number) {
    return graph_add_line(graph, scope, node, "relu name=relu%d", number);
}

typedef status (*add_body)(struct graph *graph, const struct graph_scope *scope,
    const struct block_options *o, int64_t stride, const struct node *node);

static status add_bottleneck_body(struct graph *graph, const struct graph_scope *scope,
    const struct block_options *o, int64_t stride, const struct node *node) {
    bool first = o->stride_on == STRIDE_FIRST;
    TRY(add_conv(graph, scope, node, 1, o->width, 1, first ? stride : 1));
    TRY(add_relu(graph, scope, node, 1));
    TRY(add_conv(graph, scope, node, 2, o->width, 3, first ? 1 : stride));
    TRY(add_relu(graph, scope, node, 2));
    return add_conv(graph, scope, node, 3, o->width * BOTTLENECK_EXPANSION, 1, 1);
}

static status add_basic_body(struct graph *graph, const struct graph_scope *scope,
    const struct block_options *o, int64_t stride, const struct node *node) {
    TRY(add_conv(graph, scope, node, 1, o->width, 3, stride));
    TRY(add_relu(graph, scope, node, 1));
    return add_conv(graph, scope, node, 2, o->width, 3, 1);
}

static status add_shortcut(struct graph *graph, const struct graph_scope *scope,
    const struct block_options *o, int64_t stride, int64_t out, const struct node *node) {
    if (stride == 1 && graph->current->shape.channels == out) {
        return STATUS_OK;
    }
    if (o->shortcut == SHORTCUT_ZEROS) {
        return graph_add_line(graph, scope, node, "pad_channels name=shortcut out=%lld stride=%lld",
            (long long)out, (long long)stride);
    }
    TRY(graph_add_line(graph, scope, node,
        "conv name=downsample.0 out=%lld kernel=1 stride=%lld bias=false", (long long)out,
        (long long)stride));
    return graph_add_line(graph, scope, node, "batchnorm name=downsample.1");
}

static status add_block(struct graph *graph, const struct graph_scope *scope,
    const struct block_options *o, int64_t stride, add_body body, int64_t out,
    const struct node *node) {
    struct value *way[2];
    TRY(graph_fork(graph, way, scope, 2, node));
    graph->current = way[0];
    TRY(body(graph, scope, o, stride, node));
    way[0] = graph->current;
    graph->current = way[1];
    TRY(add_shortcut(graph, scope, o, stride, out, node));
    way[1] = graph->current;
    TRY(graph_join(graph, scope, &layer_add, way, 2, node));
    return graph_add_line(graph, scope, node, "relu name=relu");
}

static status expand_blocks(struct graph *graph, const struct graph_scope *scope,
    const struct block_options *o, add_body body, int64_t out, const struct node *node) {
    for (int64_t i = 0; i < o->repeat; i++) {
        struct graph_scope one;
        /* Numbered even if there is but one, as torchvision does. */
        TRY(container_scope(graph, &one, scope, i, 0));
        TRY(add_block(graph, &one, o, i == 0 ? o->stride : 1, body, out, node));
    }
    return STATUS_OK;
}

static status expand_bottleneck(struct graph *graph, const struct graph_scope *scope,
    const void *options, const struct node *node) {
    const struct block_options *o = options;
    return expand_blocks(
        graph, scope, o, add_bottleneck_body, o->width * BOTTLENECK_EXPANSION, node);
}

static status expand_basic_block(struct graph *graph, const struct graph_scope *scope,
    const void *options, const struct node *node) {
    const struct block_options *o = options;
    return expand_blocks(graph, scope, o, add_basic_body, o->width, node);
}

const struct layer_operations container_bottleneck = {
    .kind = {.name = "bottleneck",
        .help = "residual blocks of 1x1, 3x3 and 1x1 convolutions",
        .options = bottleneck_options,
        .options_size = sizeof(struct block_options)},
    .expand = expand_bottleneck,
};
const struct layer_operations container_basic_block = {
    .kind = {.name = "basic_block",
        .help = "residual blocks of two 3x3 convolutions",
        .options = basic_block_options,
        .options_size = sizeof(struct block_options)},
    .expand = expand_basic_block,
};
