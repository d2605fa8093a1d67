/* Time for memory: values that backward needs are made a second time instead of being kept, segment
 * by segment of the net (Chen, Xu, Zhang, Guestrin, "Training deep nets with sublinear memory
 * cost", 2016).
 *
 * A segment ends where one value alone goes on. What crosses from one to the next is kept; of what
 * lies inside a segment the first forward keeps nothing, and before its backward those layers run
 * again whose outputs are asked for. The last segment is made once: its backward comes right after.
 * No bit changes: every layer is a pure function, dropout too, and what batch norm measured is
 * counted in backward, once. What waits for other ranks (sums over the whole batch) is never made
 * twice.
 *
 * A segment runs again before the first backward that hands a gradient to a layer of it
 * (worker/handoff.h), and what runs again hands on only to what runs again too.
 *
 * A value that is made twice lies in two places, so that each can be short-lived: value->first is
 * the one of the first forward, and layer->first the layer that makes and takes those.
 */
#ifndef WORKER_RECOMPUTE_H
#define WORKER_RECOMPUTE_H

#include "worker/graph.h"

/* The most segments that can be told apart. */
int recompute_limit(const struct graph *graph);

/* Cuts the net into about `segments` of equal memory, 1 or more (1: nothing is made twice), and
 * sets first, again and the graph's segments, which live in `pool`. May be called again; after
 * fusion_plan, before the memory is planned. */
status recompute_plan(
    struct graph *graph, enum recompute recompute, int segments, struct pool *pool);

#endif
