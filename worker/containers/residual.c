/* A residual block (He et al. 2015): body and shortcut take the same value and are added. Without a
 * shortcut the value itself is added. */
#include "worker/containers/containers.h"

struct residual_options {
    const char *name;
    const struct node *body, *shortcut;
    int64_t repeat;
};

static const struct option residual_options[] = {
    CONTAINER_LIST_OPTION(struct residual_options, body, "layers whose result is added"),
    CONTAINER_LIST_OPTION(
        struct residual_options, shortcut, "layers on the other way; none: the value itself"),
    CONTAINER_REPEAT_OPTION(struct residual_options), LAYER_NAME_OPTION, OPTIONS_END};

static status expand_one(struct graph *graph, const struct graph_scope *scope,
    const struct residual_options *options, const struct node *node) {
    struct value *way[2];
    struct graph_scope part;
    TRY(graph_fork(graph, way, scope, 2, node));
    graph->current = way[0];
    TRY(graph_scope_part(graph, &part, scope, "body"));
    TRY(graph_add_list(graph, &part, options->body));
    way[0] = graph->current;
    graph->current = way[1];
    TRY(graph_scope_part(graph, &part, scope, "shortcut"));
    TRY(graph_add_list(graph, &part, options->shortcut));
    way[1] = graph->current;
    return graph_join(graph, scope, &layer_add, way, 2, node);
}

static status expand(struct graph *graph, const struct graph_scope *scope, const void *options,
    const struct node *node) {
    const struct residual_options *o = options;
    if (node_count(o->body) == 0) {
        FAIL_AT(node, STATUS_USAGE, "residual: \"body\" has no layers");
    }
    for (int64_t i = 0; i < o->repeat; i++) {
        struct graph_scope one;
        TRY(container_scope(graph, &one, scope, i, o->repeat));
        TRY(expand_one(graph, &one, o, node));
    }
    return STATUS_OK;
}

const struct layer_operations container_residual = {
    .kind = {.name = "residual",
        .help = "body and shortcut, added",
        .options = residual_options,
        .options_size = sizeof(struct residual_options)},
    .expand = expand,
};
