/* How long each storage of a graph must be kept, and where all lie in one arena.
 *
 * Time runs over a whole step: 0 the input is loaded, then the layers forward, the losses, and the
 * layers backward, last first, between which some run again (worker/recompute.h). The time of each
 * is in the layer (struct layer_times). A layer that another one carries (worker/fusion.h) is at
 * work when that one is.
 */
#ifndef WORKER_MEMORY_PLAN_H
#define WORKER_MEMORY_PLAN_H

#include "worker/planner.h"
#include "worker/storage.h"

struct memory_plan {
    int layers;
    int loss_time;
    int storages;
    struct storage *storage;
    int blocks; /* first one a storage, then one a layer (what it saves), once more one a layer
                   (what it saves where it will run again), then what is handed on forward and
                   backward, then the scratch */
    struct planner_block *block;
    int *by_start; /* [storages]: storages in the order in which they begin to live */
    size_t total;  /* bytes of the arena */
    size_t scratch, handed;
};

struct memory_plan_options {
    int pictures;
    bool training;
    bool apart; /* what is concatenated is not made in its place: tests */
};

/* After all layers are planned and recompute_plan. Memory of the plan lives in `pool`. */
status memory_plan_create(struct memory_plan *plan, struct graph *graph,
    const struct memory_plan_options *options, struct pool *pool);

/* Sets every data pointer to its place in the arena at `base`. */
void memory_plan_place(const struct memory_plan *plan, struct graph *graph, void *base);

#endif
