/* A list of layers several times over, each time with weights of its own. */
#include "worker/containers/containers.h"

struct repeat_options {
    const char *name;
    int64_t times;
    const struct node *layers;
};

static const struct option repeat_options[] = {{.name = "times",
                                                   .type = OPTION_INTEGER,
                                                   .offset = offsetof(struct repeat_options, times),
                                                   .low = 1,
                                                   .high = CONTAINER_REPEAT_LIMIT,
                                                   .flags = OPTION_REQUIRED | OPTION_CHANGES_BITS,
                                                   .help = "how often"},
    CONTAINER_LIST_OPTION(struct repeat_options, layers, "layers to repeat"), LAYER_NAME_OPTION,
    OPTIONS_END};

static status expand(struct graph *graph, const struct graph_scope *scope, const void *options,
    const struct node *node) {
    const struct repeat_options *o = options;
    if (node_count(o->layers) == 0) {
        FAIL_AT(node, STATUS_USAGE, "repeat: \"layers\" has no layers");
    }
    for (int64_t i = 0; i < o->times; i++) {
        struct graph_scope one;
        TRY(container_scope(graph, &one, scope, i, o->times));
        TRY(graph_add_list(graph, &one, o->layers));
    }
    return STATUS_OK;
}

const struct layer_operations container_repeat = {
    .kind = {.name = "repeat",
        .help = "a list of layers several times over",
        .options = repeat_options,
        .options_size = sizeof(struct repeat_options)},
    .expand = expand,
};
