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

/* What runs again before the backward of layer `number`, the last segments first. */
static void set_times_again(struct graph *graph, int *segment, int number, int *time) {
    for (; *segment >= 0 && graph->segment[*segment].before == number; --*segment) {
        const struct graph_segment *own = &graph->segment[*segment];
        for (int i = own->from; i < own->past; i++) {
            graph->layer[i]->time.again = graph->layer[i]->again ? ++*time : 0;
        }
    }
}

/* Returns the time after the last one. */
static int set_times(struct planning *p) {
    struct graph *graph = p->graph;
    int segment = graph->segments - 1;
    int time = 0;
    for (int i = 0; i < graph->layers; i++) {
        graph->layer[i]->time.forward = ++time;
    }
    p->plan->loss_time = ++time;
    for (int i = graph->layers - 1; i >= 0; i--) {
        set_times_again(graph, &segment, i, &time);
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

static void keep_forward(struct planning *p, const struct layer *layer, int time) {
    for (int i = 0; i < layer->inputs; i++) {
        keep(p, layer->input[i]->storage, time);
        want_border(p, layer->input[i]->storage, layer->input_border);
    }
    for (int o = 0; o < layer->outputs; o++) {
        keep(p, layer->output[o]->storage, time);
    }
}

static void keep_backward(struct planning *p, const struct layer *layer) {
    const struct layer *worker = layer->carried_forward_only ? layer : layer_worker(layer);
    int time = worker->time.backward, taking = layer_gradient_giver(worker)->time.backward;
    /* What is inside of the work of another, and a fork's sum, is written when it is taken. */
    bool early = worker != layer || (layer->flags & LAYER_VIEW) != 0;
    for (int i = 0; i < layer->inputs; i++) {
        if ((layer->flags & LAYER_NEEDS_INPUT) != 0) {
            keep(p, layer->input[i]->storage, time);
            want_border(p, layer->input[i]->storage, layer->input_border);
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
        const struct layer_times *times = &layer_worker(layer)->time;
        if (runs(p, layer)) {
            keep_forward(p, layer_first(layer), times->forward);
        }
        if (layer_worker(layer)->again) {
            keep_forward(p, layer, times->again);
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

/* What a layer saves from forward to backward; where it runs again, the first time is for nothing.
 */
static void size_saved(struct planning *p, const struct layer *layer) {
    struct planner_block *saved = p->plan->block + p->plan->storages + layer->number;
    size_t bytes = runs(p, layer) ? up(layer->saved_bytes) : 0;
    const struct layer_times *time = &layer->time;
    saved[0] = (struct planner_block){.bytes = bytes,
        .from = layer->again ? time->again : time->forward,
        .to = p->training ? time->backward : time->forward};
    saved[p->plan->layers] = (struct planner_block){
        .bytes = layer->again ? bytes : 0, .from = time->forward, .to = time->forward};
}

static void size_rest(struct planning *p, int end) {
    struct memory_plan *plan = p->plan;
    for (int i = 0; i < plan->layers; i++) {
        const struct layer *layer = p->graph->layer[i];
        size_saved(p, layer);
        if (runs(p, layer) && layer->scratch_bytes > plan->scratch) {
            plan->scratch = layer->scratch_bytes;
        }
        if (runs(p, layer) && layer->handed_bytes > plan->handed) {
            plan->handed = layer->handed_bytes;
        }
    }
    plan->scratch = up(plan->scratch);
    plan->handed = up(plan->handed);
    plan->blocks = plan->storages + 2 * plan->layers;
    plan->block[plan->blocks++] =
        (struct planner_block){.bytes = plan->handed, .from = 0, .to = end};
    plan->block[plan->blocks++] =
        (struct planner_block){.bytes = p->training ? plan->handed : 0, .from = 0, .to = end};
    plan->block[plan->blocks++] =
        (struct planner_block){.bytes = plan->scratch, .from = 0, .to = end};
}

status memory_plan_create(struct memory_plan *plan, struct graph *graph,
    const struct memory_plan_options *options, struct pool *pool) {
    *plan = (struct memory_plan){.layers = graph->layers};
    size_t room = 3 * (size_t)graph->values;
    TRY(pool_take(pool, (void **)&plan->storage, room, sizeof *plan->storage));
    TRY(pool_take(pool, (void **)&plan->by_start, room, sizeof *plan->by_start));
    TRY(pool_take(
        pool, (void **)&plan->block, room + 2 * (size_t)graph->layers + 3, sizeof *plan->block));
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

static void place_value(const struct memory_plan *plan, struct value *value) {
    if (value->storage >= 0) {
        value->activation = plan->storage[value->storage].tensor;
    }
    if (value->gradient_storage >= 0) {
        value->gradient = plan->storage[value->gradient_storage].tensor;
    }
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
        place_value(plan, graph->value[v]);
        if (graph->value[v]->first != NULL) {
            place_value(plan, graph->value[v]->first);
        }
    }
    for (int i = 0; i < plan->layers; i++) {
        struct layer *layer = graph->layer[i];
        const struct planner_block *saved = &plan->block[plan->storages + i];
        layer->saved = saved->bytes > 0 ? memory + saved->offset : NULL;
        if (layer->first != NULL) {
            const struct planner_block *first = layer->again ? saved + plan->layers : saved;
            layer->first->saved = first->bytes > 0 ? memory + first->offset : NULL;
        }
    }
}
