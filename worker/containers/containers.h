/* What containers share. */
#ifndef WORKER_CONTAINERS_CONTAINERS_H
#define WORKER_CONTAINERS_CONTAINERS_H

#include "worker/graph.h"

#define CONTAINER_REPEAT_LIMIT 1000

/* The option `repeat` of a container whose values are `type_`. */
#define CONTAINER_REPEAT_OPTION(type_)                                                             \
    {                                                                                              \
        .name = "repeat", .type = OPTION_INTEGER, .offset = offsetof(type_, repeat),               \
        .initial = "1", .low = 1, .high = CONTAINER_REPEAT_LIMIT, .flags = OPTION_CHANGES_BITS,    \
        .help = "how often it stands there, one after the other"                                   \
    }

/* The option `field` that takes a list of layers. */
#define CONTAINER_LIST_OPTION(type_, field, help_)                                                 \
    {                                                                                              \
        .name = #field, .type = OPTION_NODE, .offset = offsetof(type_, field),                     \
        .flags = OPTION_CHANGES_BITS, .help = help_                                                \
    }

/* The scope of the `index`-th of `count` repetitions: numbered, unless there is but one. */
status container_scope(struct graph *graph, struct graph_scope *inner,
    const struct graph_scope *scope, int64_t index, int64_t count);

#endif
