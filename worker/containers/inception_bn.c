/* The module of BN-Inception (Ioffe and Szegedy 2015, figure 5): GoogLeNet's with two 3x3
 * convolutions in place of the 5x5 and a norm after each. Without a 1x1 branch it steps by 2, and
 * its pool passes the channels on. Names follow the module of GoogLeNet. */
#include "worker/containers/containers.h"

enum pool_kind { POOL_AVERAGE, POOL_MAXIMUM };
static const char *const pool_kinds[] = {"average", "maximum", NULL};

struct inception_bn_options {
    const char *name;
    int64_t ones, threes[2], doubles[2], project;
    int pool;
};

#define CHANNELS_OPTION(field, type_, low_, flags_, help_)                                         \
    {                                                                                              \
        .name = #field, .type = type_, .offset = offsetof(struct inception_bn_options, field),     \
        .low = low_, .high = 16384, .flags = OPTION_CHANGES_BITS | (flags_), .help = help_         \
    }
static const struct option inception_bn_options[] = {
    CHANNELS_OPTION(ones, OPTION_INTEGER, 0, 0, "channels of the 1x1 branch; 0: none, and step 2"),
    CHANNELS_OPTION(
        threes, OPTION_PAIR, 1, OPTION_REQUIRED, "channels of the 3x3 branch: reduced to, and out"),
    CHANNELS_OPTION(doubles, OPTION_PAIR, 1, OPTION_REQUIRED,
        "channels of the branch of two 3x3: reduced to, and out"),
    {.name = "pool",
        .type = OPTION_NAME,
        .offset = offsetof(struct inception_bn_options, pool),
        .initial = "average",
        .flags = OPTION_CHANGES_BITS,
        .help = "what the last branch pools",
        .names = pool_kinds},
    CHANNELS_OPTION(project, OPTION_INTEGER, 0, 0, "channels after the pool; 0: as they are"),
    LAYER_NAME_OPTION, OPTIONS_END};

static status add_unit(struct graph *graph, const struct graph_scope *scope,
    const struct node *node, const char *name, int64_t out, int kernel, int stride) {
    return graph_add_line(graph, scope, node,
        "basic_conv name=%s out=%lld kernel=%d stride=%d pad=%d", name, (long long)out, kernel,
        stride, kernel / 2);
}

static status add_pool(struct graph *graph, const struct graph_scope *scope,
    const struct node *node, const struct inception_bn_options *o, int stride) {
    TRY(graph_add_line(graph, scope, node, "%s name=branch4.0 kernel=3 stride=%d pad=1",
        o->pool == POOL_AVERAGE ? "avgpool" : "maxpool", stride));
    return o->project == 0 ? STATUS_OK
                           : add_unit(graph, scope, node, "branch4.1", o->project, 1, 1);
}

static status expand(struct graph *graph, const struct graph_scope *scope, const void *options,
    const struct node *node) {
    const struct inception_bn_options *o = options;
    struct value *way[4];
    int first = o->ones > 0 ? 0 : 1, stride = o->ones > 0 ? 1 : 2;
    TRY(graph_fork(graph, way + first, scope, 4 - first, node));
    for (int i = first; i < 4; i++) {
        graph->current = way[i];
        switch (i) {
        case 0: TRY(add_unit(graph, scope, node, "branch1", o->ones, 1, 1)); break;
        case 1:
            TRY(add_unit(graph, scope, node, "branch2.0", o->threes[0], 1, 1));
            TRY(add_unit(graph, scope, node, "branch2.1", o->threes[1], 3, stride));
            break;
        case 2:
            TRY(add_unit(graph, scope, node, "branch3.0", o->doubles[0], 1, 1));
            TRY(add_unit(graph, scope, node, "branch3.1", o->doubles[1], 3, 1));
            TRY(add_unit(graph, scope, node, "branch3.2", o->doubles[1], 3, stride));
            break;
        default: TRY(add_pool(graph, scope, node, o, stride)); break;
        }
        way[i] = graph->current;
    }
    return graph_join(graph, scope, &layer_concat, way + first, 4 - first, node);
}

const struct layer_operations container_inception_bn = {
    .kind = {.name = "inception_bn",
        .help = "BN-Inception's module: four branches with norms, or three that step by 2",
        .options = inception_bn_options,
        .options_size = sizeof(struct inception_bn_options)},
    .expand = expand,
};
