/* The graph of a net while it is built: from a model's list to plain layers in the order of
 * forward, joined by values.
 *
 * Every layer is planned as it is added, so that containers see the shape that they are given.
 *
 * A list is run through one entry after the other; `current` is the value that the next layer
 * takes. Containers fork it, add their lists and join the ends. Names: a layer is called what its
 * `name` says, or after its kind and its number among its like in its list ("conv1"). Containers
 * put their own name before ("block.conv1"); the parts of a container ("body", "shortcut", a
 * branch's number) stand before the names made from the place only, so that given names can be
 * those of other tools: `layer1.0.downsample.0`.
 */
#ifndef WORKER_GRAPH_H
#define WORKER_GRAPH_H

#include "worker/layer.h"

#define GRAPH_LAYERS_LIMIT 20000

/* A parameter, and what its first values come from. */
struct graph_parameter {
    struct parameter parameter;
    int number; /* in the order of forward: keys the random numbers */
    const struct choice *initialise;
    double constant;
    int64_t fan_in, fan_out;
};

/* A second loss: a value that is compared with the targets too, in training. */
struct graph_auxiliary {
    struct value *value;
    double weight;
};

/* Layers [from, past), which run again before the backward of layer `before`: worker/recompute.h.
 */
struct graph_segment {
    int from, past, before;
};

struct graph {
    struct pool pool; /* everything below lives here */
    struct layer_plan plan;
    int layers, layers_room;
    struct layer **layer;
    int values, values_room;
    struct value **value;
    int parameters, parameters_room; /* in the order in which layers declare them */
    struct graph_parameter **parameter;
    int auxiliaries, auxiliaries_room;
    struct graph_auxiliary *auxiliary;
    int segments;
    struct graph_segment *segment;
    struct value *current;
    bool training_only; /* inside an auxiliary head */
};

struct graph_scope {
    const char *given; /* put before given names: "" or "layer1.0." */
    const char *place; /* put before names from the place: "" or "residual1.body." */
};

void graph_init(struct graph *graph);
void graph_release(struct graph *graph); /* the layers' state too */

/* The graph of a whole model (mapping with `input` and `layers`), each layer planned. */
status graph_build(struct graph *graph, const struct node *model, const struct layer_plan *plan);

/* For containers: all entries of a list (a NULL node: none). */
status graph_add_list(
    struct graph *graph, const struct graph_scope *scope, const struct node *list);

/* One entry of a list written as a line: "conv name=conv1 out=64 bias=false" is
 * `conv: {name: conv1, out: 64, bias: false}`, standing at `node`; "kernel=1,7" is a list. */
status graph_add_line(struct graph *graph, const struct graph_scope *scope, const struct node *node,
    const char *format, ...) __attribute__((format(printf, 4, 5)));

/* Forks `current` into `count` values (1 or more; 1 is no fork). */
status graph_fork(struct graph *graph, struct value **out, const struct graph_scope *scope,
    int count, const struct node *node);
/* Joins values by layer_add or layer_concat; the result is `current`. */
status graph_join(struct graph *graph, const struct graph_scope *scope,
    const struct layer_operations *operations, struct value *const *in, int count,
    const struct node *node);

/* One more parameter, zeroed but for its number. Use layer_declare. */
status graph_add_parameter(struct graph *graph, struct graph_parameter **out);

/* `current` becomes an auxiliary output, weighted into the loss; the caller sets a new current. */
status graph_add_auxiliary(struct graph *graph, double weight);

/* The scope `part` of a container: "body" stands before names from the place. */
status graph_scope_part(struct graph *graph, struct graph_scope *inner,
    const struct graph_scope *outer, const char *part);
/* The scope of something with a name of its own: `name` stands before all names in it. */
status graph_scope_named(struct graph *graph, struct graph_scope *inner,
    const struct graph_scope *outer, const char *name);

#endif
