#include "worker/memory_plan.h"

#include "base/memory.h"

#include <limits.h>

struct planning {
    struct memory_plan *plan;
    struct graph *graph;
    bool training;
    struct storage_plan storages;
};

static bool runs(const struct planning *p, const struct layer *layer) {
    return p->training || !layer->training_only;
}

static const struct layer *worker_of(const struct layer *layer) {
    return layer->carrier != NULL ? layer->carrier : layer;
}

/* Returns the time after the last one. */
static int set_times(struct planning *p) {
    struct graph *graph = p->graph;
    int time = 0;
    for (int i = 0; i < graph->layers; i++) {
        graph->layer[i]->time.forward = ++time;
    }
    p->plan->loss_time = ++time;
    for (int i = graph->layers - 1; i >= 0; i--) {
        graph->layer[i]->time.backward = ++time;
    }
    return time + 1;
}

/* ---- how long ---- */

static void keep(struct planning *p, int storage, int time) {
    if (storage >= 0) {
        struct planner_block *block = &p->plan->block[storage_whole(p->plan->storage, storage)];
        block->from = time < block->from ? time : block->from;
        block->to = time > block->to ? time : block->to;
    }
}

static void want_border(struct planning *p, int storage, const int border[2]) {
    if (storage >= 0) {
        struct tensor *tensor = &p->plan->storage[storage_whole(p->plan->storage, storage)].tensor;
        int height = tensor->border_height, width = tensor->border_width;
        tensor->border_height = border[0] > height ? border[0] : height;
        tensor->border_width = border[1] > width ? border[1] : width;
    }
}

static void keep_forward(struct planning *p, const struct layer *layer) {
    int time = worker_of(layer)->time.forward;
    for (int i = 0; i < layer->inputs; i++) {
        keep(p, layer->input[i]->storage, time);
        want_border(p, layer->input[i]->storage, layer->input_border);
    }
    for (int o = 0; o < layer->outputs; o++) {
        keep(p, layer->output[o]->storage, time);
    }
}

/* When a layer first does something with the gradient of its result: in its backward, or on its
 * behalf in that of another (worker/handoff.h). */
static int taking_time(const struct layer *layer) {
    while (layer->gradient_from != NULL) {
        layer = layer->gradient_from;
    }
    return layer->time.backward;
}

static void keep_backward(struct planning *p, const struct layer *layer) {
    const struct layer *worker = layer->carried_forward_only ? layer : worker_of(layer);
    int time = worker->time.backward, taking = taking_time(worker);
    /* What is inside of the work of another, and a fork's sum, is written when it is taken. */
    bool early = worker != layer || (layer->flags & LAYER_VIEW) != 0;
    for (int i = 0; i < layer->inputs; i++) {
        if ((layer->flags & LAYER_NEEDS_INPUT) != 0) {
            keep(p, layer->input[i]->storage, time);
        }
        keep(p, layer->input[i]->gradient_storage, time);
        keep(p, layer->input[i]->gradient_storage, early ? taking : time);
    }
    for (int o = 0; o < layer->outputs; o++) {
        if (storage_maker_reads(p->graph, layer->output[o])) {
            keep(p, layer->output[o]->storage, taking);
        }
        keep(p, layer->output[o]->gradient_storage, time);
        want_border(p, layer->output[o]->gradient_storage, layer->gradient_border);
    }
}

static void keep_values(struct planning *p, int end) {
    struct graph *graph = p->graph;
    keep(p, graph->value[0]->storage, 0);
    for (int i = 0; i < graph->layers; i++) {
        const struct layer *layer = graph->layer[i];
        if (runs(p, layer)) {
            keep_forward(p, layer);
        }
        if (p->training && layer->output[0]->wants_gradient) {
            keep_backward(p, layer);
        }
    }
    for (int v = 0; v < graph->values; v++) {
        if (graph->value[v]->taker < 0) { /* an output: can be asked for until the next forward */
            keep(p, graph->value[v]->storage, end);
            keep(p, graph->value[v]->gradient_storage, p->plan->loss_time);
        }
    }
}

/* ---- how large, and where ---- */

/* By time, then by number; lists are short and nearly sorted. */
static void sort_starts(struct memory_plan *plan) {
    for (int i = 0; i < plan->storages; i++) {
        int place = i;
        for (; place > 0 && plan->block[plan->by_start[place - 1]].from > plan->block[i].from;
             place--) {
            plan->by_start[place] = plan->by_start[place - 1];
        }
        plan->by_start[place] = i;
    }
}

static size_t up(size_t bytes) {
    return (bytes + MEMORY_ALIGNMENT - 1) / MEMORY_ALIGNMENT * MEMORY_ALIGNMENT;
}

/* A storage that is a part, or that nobody reads or writes, takes no memory of its own. */
static void size_storages(struct planning *p, int pictures) {
    struct memory_plan *plan = p->plan;
    for (int s = 0; s < plan->storages; s++) {
        struct tensor *tensor = &plan->storage[s].tensor;
        tensor_init(tensor, tensor->shape, tensor->border_height, tensor->border_width, pictures);
        bool own = plan->storage[s].whole < 0 && plan->block[s].to >= 0;
        plan->block[s].bytes = own ? tensor_bytes(tensor) : 0;
    }
}

static void size_rest(struct planning *p, int end) {
    struct memory_plan *plan = p->plan;
    for (int i = 0; i < plan->layers; i++) {
        const struct layer *layer = p->graph->layer[i];
        plan->block[plan->storages + i] =
            (struct planner_block){.bytes = runs(p, layer) ? up(layer->saved_bytes) : 0,
                .from = layer->time.forward,
                .to = p->training ? layer->time.backward : layer->time.forward};
        if (runs(p, layer) && layer->scratch_bytes > plan->scratch) {
            plan->scratch = layer->scratch_bytes;
        }
        if (runs(p, layer) && layer->handed_bytes > plan->handed) {
            plan->handed = layer->handed_bytes;
        }
    }
    plan->scratch = up(plan->scratch);
    plan->handed = up(plan->handed);
    plan->blocks = plan->storages + plan->layers;
    plan->block[plan->blocks++] =
        (struct planner_block){.bytes = plan->handed, .from = 0, .to = end};
    plan->block[plan->blocks++] =
        (struct planner_block){.bytes = p->training ? plan->handed : 0, .from = 0, .to = end};
    plan->block[plan->blocks++] =
        (struct planner_block){.bytes = plan->scratch, .from = 0, .to = end};
}

status memory_plan_create(
    struct memory_plan *plan, struct graph *graph, const struct memory_plan_options *options) {
    *plan = (struct memory_plan){.layers = graph->layers};
    size_t room = 2 * (size_t)graph->values;
    TRY(pool_take(&graph->pool, (void **)&plan->storage, room, sizeof *plan->storage));
    TRY(pool_take(&graph->pool, (void **)&plan->by_start, room, sizeof *plan->by_start));
    TRY(pool_take(&graph->pool, (void **)&plan->block, room + (size_t)graph->layers + 3,
        sizeof *plan->block));
    struct planning planning = {.plan = plan,
        .graph = graph,
        .training = options->training,
        .storages = {.graph = graph,
            .training = options->training,
            .apart = options->apart,
            .storage = plan->storage}};
    storage_assign(&planning.storages);
    plan->storages = planning.storages.count;
    for (int s = 0; s < plan->storages; s++) {
        plan->block[s] = (struct planner_block){.from = INT_MAX, .to = -1};
    }
    int end = set_times(&planning);
    keep_values(&planning, end);
    size_storages(&planning, options->pictures);
    size_rest(&planning, end);
    sort_starts(plan);
    return planner_place(&plan->total, plan->block, plan->blocks);
}

void memory_plan_place(const struct memory_plan *plan, struct graph *graph, void *base) {
    unsigned char *memory = base;
    for (int s = 0; s < plan->storages; s++) {
        if (plan->storage[s].whole < 0) {
            tensor_place(&plan->storage[s].tensor, memory + plan->block[s].offset);
        }
    }
    for (int s = 0; s < plan->storages; s++) {
        if (plan->storage[s].whole >= 0) {
            storage_set_part(plan->storage, s);
        }
    }
    for (int v = 0; v < graph->values; v++) {
        struct value *value = graph->value[v];
        if (value->storage >= 0) {
            value->activation = plan->storage[value->storage].tensor;
        }
        if (value->gradient_storage >= 0) {
            value->gradient = plan->storage[value->gradient_storage].tensor;
        }
    }
    for (int i = 0; i < plan->layers; i++) {
        const struct planner_block *block = &plan->block[plan->storages + i];
        graph->layer[i]->saved = block->bytes > 0 ? memory + block->offset : NULL;
    }
}
