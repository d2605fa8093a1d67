/* The inception module of GoogLeNet (Szegedy et al. 2014): 1x1, 1x1 and 3x3, 1x1 and 5x5, max-pool
 * and 1x1, side by side. Parameters are named as in torchvision: `inception3a.branch2.1.conv`. */
#include "worker/containers/containers.h"

struct inception_options {
    const char *name;
    int64_t ones, threes[2], fives[2], pool, kernel;
    bool norm;
};

#define CHANNELS_OPTION(field, type_, help_)                                                       \
    {                                                                                              \
        .name = #field, .type = type_, .offset = offsetof(struct inception_options, field),        \
        .low = 1, .high = 16384, .flags = OPTION_REQUIRED | OPTION_CHANGES_BITS, .help = help_     \
    }
static const struct option inception_options[] = {
    CHANNELS_OPTION(ones, OPTION_INTEGER, "channels of the 1x1 branch"),
    CHANNELS_OPTION(threes, OPTION_PAIR, "channels of the 3x3 branch: reduced to, and out"),
    CHANNELS_OPTION(fives, OPTION_PAIR, "channels of the 5x5 branch: reduced to, and out"),
    CHANNELS_OPTION(pool, OPTION_INTEGER, "channels of the branch that pools"),
    {.name = "kernel",
        .type = OPTION_INTEGER,
        .offset = offsetof(struct inception_options, kernel),
        .initial = "5",
        .low = 3,
        .high = 7,
        .flags = OPTION_CHANGES_BITS,
        .help = "kernel of the 5x5 branch: 5, or 3 as torchvision has it"},
    {.name = "norm",
        .type = OPTION_SWITCH,
        .offset = offsetof(struct inception_options, norm),
        .initial = "false",
        .flags = OPTION_CHANGES_BITS,
        .help = "batch norm after every convolution, as torchvision has it"},
    LAYER_NAME_OPTION, OPTIONS_END};

/* Convolution and rectifier below `unit`, with a norm between them or not. */
static status add_unit(struct graph *graph, const struct graph_scope *scope,
    const struct node *node, const char *unit, int64_t out, int64_t kernel, bool norm) {
    if (norm) {
        return graph_add_line(graph, scope, node,
            "basic_conv name=%s out=%lld kernel=%lld pad=%lld", unit, (long long)out,
            (long long)kernel, (long long)kernel / 2);
    }
    TRY(graph_add_line(graph, scope, node, "conv name=%s.conv out=%lld kernel=%lld pad=%lld", unit,
        (long long)out, (long long)kernel, (long long)kernel / 2));
    return graph_add_line(graph, scope, node, "relu name=%s.relu", unit);
}

static status expand(struct graph *graph, const struct graph_scope *scope, const void *options,
    const struct node *node) {
    const struct inception_options *o = options;
    struct value *way[4];
    TRY(graph_fork(graph, way, scope, 4, node));
    graph->current = way[0];
    TRY(add_unit(graph, scope, node, "branch1", o->ones, 1, o->norm));
    way[0] = graph->current;
    graph->current = way[1];
    TRY(add_unit(graph, scope, node, "branch2.0", o->threes[0], 1, o->norm));
    TRY(add_unit(graph, scope, node, "branch2.1", o->threes[1], 3, o->norm));
    way[1] = graph->current;
    graph->current = way[2];
    TRY(add_unit(graph, scope, node, "branch3.0", o->fives[0], 1, o->norm));
    TRY(add_unit(graph, scope, node, "branch3.1", o->fives[1], o->kernel, o->norm));
    way[2] = graph->current;
    graph->current = way[3];
    TRY(graph_add_line(graph, scope, node, "maxpool name=branch4.0 kernel=3 stride=1 pad=1"));
    TRY(add_unit(graph, scope, node, "branch4.1", o->pool, 1, o->norm));
    way[3] = graph->current;
    return graph_join(graph, scope, &layer_concat, way, 4, node);
}

const struct layer_operations container_inception = {
    .kind = {.name = "inception",
        .help = "GoogLeNet's module: four branches side by side",
        .options = inception_options,
        .options_size = sizeof(struct inception_options)},
    .expand = expand,
};
