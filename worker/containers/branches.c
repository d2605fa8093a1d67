/* Branches that take the same value and end side by side as channels (Szegedy et al. 2014):
 * `branches: [[...], [...]]`. */
#include "worker/containers/containers.h"

#include <stdio.h>

struct branches_options {
    const char *name;
    const struct node *lists;
    int64_t repeat;
};

static const struct option branches_options[] = {
    CONTAINER_LIST_OPTION(
        struct branches_options, lists, "lists of layers; an empty one passes the value on"),
    CONTAINER_REPEAT_OPTION(struct branches_options), LAYER_NAME_OPTION, OPTIONS_END};

static status expand_one(struct graph *graph, const struct graph_scope *scope,
    const struct node *lists, const struct node *node) {
    int count = node_count(lists);
    struct value *way[LAYER_ENDS];
    TRY(graph_fork(graph, way, scope, count, node));
    const struct node *list = lists->child;
    for (int i = 0; i < count; i++, list = list->next) {
        char number[16];
        struct graph_scope part;
        snprintf(number, sizeof number, "%d", i);
        TRY(graph_scope_part(graph, &part, scope, number));
        graph->current = way[i];
        TRY(graph_add_list(graph, &part, list));
        way[i] = graph->current;
    }
    return count == 1 ? STATUS_OK : graph_join(graph, scope, &layer_concat, way, count, node);
}

static status expand(struct graph *graph, const struct graph_scope *scope, const void *options,
    const struct node *node) {
    const struct branches_options *o = options;
    int count = node_count(o->lists);
    if (o->lists == NULL || o->lists->kind != NODE_LIST || count < 1 || count > LAYER_ENDS) {
        FAIL_AT(
            node, STATUS_USAGE, "branches: 1 to %d lists of layers must stand here", LAYER_ENDS);
    }
    for (int64_t i = 0; i < o->repeat; i++) {
        struct graph_scope one;
        TRY(container_scope(graph, &one, scope, i, o->repeat));
        TRY(expand_one(graph, &one, o->lists, node));
    }
    return STATUS_OK;
}

const struct layer_operations container_branches = {
    .kind = {.name = "branches",
        .help = "lists of layers side by side, their channels one after another",
        .options = branches_options,
        .options_size = sizeof(struct branches_options)},
    .expand = expand,
};
