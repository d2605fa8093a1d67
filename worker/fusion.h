/* Layers that do the work of those after them, so that a value passes through memory once; and who
 * hands what it makes on to whom (worker/handoff.h).
 *
 * A layer with LAYER_CARRIES_ADD or LAYER_CARRIES_RELU (worker/layer.h) carries the add, and then
 * the relu, that directly follow it: batchnorm, add, relu is one pass over the values. The layers
 * that are carried stay in the graph, with their names, and do nothing in a pass; the values
 * between are never stored by themselves. A residual block's add is carried by the last layer of
 * the last way that has layers, which runs when all else that is added is there.
 *
 * No bit changes: the same operations on the same numbers in the same order.
 */
#ifndef WORKER_FUSION_H
#define WORKER_FUSION_H

#include "worker/graph.h"

/* After all layers are planned, before their memory is. */
void fusion_plan(struct graph *graph);

#endif
