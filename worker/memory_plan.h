/* Which values of a graph share memory, how long each must be kept, and where all lie in one arena.
 *
 * A storage is one piece of memory for one or more values: a fork's outputs are its input, and an
 * elementwise layer writes over what it reads where nobody needs that any more. Its border is the
 * widest that any of its readers asks for. Time runs over a whole step: 0 the input is loaded,
 * 1 .. L the layers forward, L + 1 the losses, L + 2 .. 2L + 1 the layers backward, last first.
 */
#ifndef WORKER_MEMORY_PLAN_H
#define WORKER_MEMORY_PLAN_H

#include "worker/graph.h"
#include "worker/planner.h"

struct storage {
    struct tensor tensor; /* of the values in it, with the border of the widest reader */
    bool shared;          /* by values that live side by side: nobody may write over it */
};

struct memory_plan {
    int layers; /* L */
    int storages;
    struct storage *storage;
    int blocks; /* first one a storage, then one a layer (what it saves), then the scratch */
    struct planner_block *block;
    int *by_start; /* [storages]: storages in the order in which they begin to live */
    size_t total;  /* bytes of the arena */
    size_t scratch;
};

/* Of layer number `layer` of `count`. */
int memory_plan_forward_time(int layer);
int memory_plan_loss_time(int count);
int memory_plan_backward_time(int layer, int count);

/* After all layers are planned. Memory of the plan lives in the graph's pool. */
status memory_plan_create(
    struct memory_plan *plan, struct graph *graph, int pictures, bool training);

/* Sets every data pointer to its place in the arena at `base`. */
void memory_plan_place(const struct memory_plan *plan, struct graph *graph, void *base);

#endif
