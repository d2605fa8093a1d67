#include "worker/containers/containers.h"

#include <stdio.h>

status container_scope(struct graph *graph, struct graph_scope *inner,
    const struct graph_scope *scope, int64_t index, int64_t count) {
    if (count == 1) {
        *inner = *scope;
        return STATUS_OK;
    }
    char number[24];
    snprintf(number, sizeof number, "%lld", (long long)index);
    return graph_scope_named(graph, inner, scope, number);
}
