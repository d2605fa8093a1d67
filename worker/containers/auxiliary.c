/* An auxiliary head (Szegedy et al. 2014): layers that hang beside the way and end in a second
 * loss, which is weighted into the first. It runs in training alone. */
#include "worker/containers/containers.h"

struct auxiliary_options {
    const char *name;
    double weight;
    const struct node *layers;
};

static const struct option auxiliary_options[] = {
    CONTAINER_LIST_OPTION(struct auxiliary_options, layers, "layers of the head"),
    {.name = "weight",
        .type = OPTION_REAL,
        .offset = offsetof(struct auxiliary_options, weight),
        .initial = "0.3",
        .low = 0,
        .high = 1000,
        .flags = OPTION_CHANGES_BITS,
        .help = "of its loss"},
    LAYER_NAME_OPTION, OPTIONS_END};

static status expand(struct graph *graph, const struct graph_scope *scope, const void *options,
    const struct node *node) {
    const struct auxiliary_options *o = options;
    if (node_count(o->layers) == 0) {
        FAIL_AT(node, STATUS_USAGE, "auxiliary: \"layers\" has no layers");
    }
    if (graph->training_only) {
        FAIL_AT(node, STATUS_USAGE, "auxiliary: a head cannot hang on another");
    }
    struct value *way[2];
    TRY(graph_fork(graph, way, scope, 2, node));
    graph->current = way[1];
    graph->training_only = true;
    TRY(graph_add_list(graph, scope, o->layers));
    TRY(graph_add_auxiliary(graph, o->weight));
    graph->training_only = false;
    graph->current = way[0];
    return STATUS_OK;
}

const struct layer_operations container_auxiliary = {
    .kind = {.name = "auxiliary",
        .help = "a head with a loss of its own, in training alone",
        .options = auxiliary_options,
        .options_size = sizeof(struct auxiliary_options)},
    .expand = expand,
};
