#include "worker/memory_plan.h"

#include "base/memory.h"

#include <limits.h>

int memory_plan_forward_time(int layer) {
    return layer + 1;
}

int memory_plan_loss_time(int count) {
    return count + 1;
}

int memory_plan_backward_time(int layer, int count) {
    return 2 * count + 1 - layer;
}

struct planning {
    struct memory_plan *plan;
    struct graph *graph;
    bool training;
};

static int fresh_storage(struct planning *p, struct shape shape) {
    struct storage *storage = &p->plan->storage[p->plan->storages];
    storage->tensor.shape = shape;
    p->plan->block[p->plan->storages] = (struct planner_block){.from = INT_MAX, .to = -1};
    return p->plan->storages++;
}

static void keep(struct planning *p, int storage, int time) {
    struct planner_block *block = &p->plan->block[storage];
    block->from = time < block->from ? time : block->from;
    block->to = time > block->to ? time : block->to;
}

static void want_border(struct planning *p, int storage, const int border[2]) {
    struct tensor *tensor = &p->plan->storage[storage].tensor;
    tensor->border_height = border[0] > tensor->border_height ? border[0] : tensor->border_height;
    tensor->border_width = border[1] > tensor->border_width ? border[1] : tensor->border_width;
}

static bool runs(const struct planning *p, const struct layer *layer) {
    return p->training || !layer->training_only;
}

/* The layer that does the work of number `number`: its time is that of the work. */
static const struct layer *worker_of(const struct planning *p, int number) {
    const struct layer *layer = p->graph->layer[number];
    return layer->carrier != NULL ? layer->carrier : layer;
}

static bool may_overwrite_input(const struct planning *p, const struct layer *layer) {
    const struct value *input = layer->input[0];
    if ((layer->flags & LAYER_IN_PLACE) == 0 || p->plan->storage[input->storage].shared ||
        !shape_equal(input->shape, layer->output[0]->shape)) {
        return false;
    }
    if (!p->training) {
        return true;
    }
    bool maker_needs_it =
        input->maker >= 0 && (p->graph->layer[input->maker]->flags & LAYER_NEEDS_OUTPUT) != 0;
    return !maker_needs_it && (layer->flags & LAYER_NEEDS_INPUT) == 0;
}

static void assign_activations(struct planning *p) {
    struct graph *graph = p->graph;
    graph->value[0]->storage = fresh_storage(p, graph->value[0]->shape);
    for (int i = 0; i < graph->layers; i++) {
        struct layer *layer = graph->layer[i];
        for (int o = 0; runs(p, layer) && o < layer->outputs; o++) {
            struct value *output = layer->output[o];
            if (layer->carrier != NULL) {
                output->storage = layer->carrier->output[0]->storage;
            } else if ((layer->flags & LAYER_VIEW) != 0) {
                output->storage = layer->input[0]->storage;
                p->plan->storage[output->storage].shared = true;
            } else if (o == 0 && may_overwrite_input(p, layer)) {
                output->storage = layer->input[0]->storage;
            } else {
                output->storage = fresh_storage(p, output->shape);
            }
        }
    }
}

static void assign_gradients(struct planning *p) {
    for (int i = p->graph->layers - 1; i >= 0; i--) {
        struct layer *layer = p->graph->layer[i];
        for (int o = 0; o < layer->outputs; o++) { /* those that only a loss takes */
            struct value *output = layer->output[o];
            if (output->wants_gradient && output->gradient_storage < 0) {
                output->gradient_storage = fresh_storage(p, output->shape);
            }
        }
        int over = layer->output[0]->gradient_storage;
        for (int j = 0; j < layer->inputs; j++) {
            struct value *input = layer->input[j];
            if (!input->wants_gradient) {
                continue;
            }
            if (layer->carrier != NULL && layer->carrier->addend == NULL) {
                input->gradient_storage = over; /* nobody else reads it */
            } else if ((layer->flags & LAYER_GRADIENT_VIEW) != 0) {
                input->gradient_storage = over;
                p->plan->storage[over].shared = true;
            } else if (j == 0 && (layer->flags & LAYER_GRADIENT_IN_PLACE) != 0 &&
                       !p->plan->storage[over].shared &&
                       shape_equal(input->shape, layer->output[0]->shape)) {
                input->gradient_storage = over;
            } else {
                input->gradient_storage = fresh_storage(p, input->shape);
            }
        }
    }
}

/* Whether backward of the layer that makes a value reads it. */
static bool maker_reads(const struct planning *p, const struct value *value) {
    const struct layer *maker = p->graph->layer[value->maker];
    if (maker->carrier != NULL) { /* without an addend it knows the sign from its input */
        return value == maker->carrier->result && maker->carrier->rectifies &&
               maker->carrier->addend != NULL;
    }
    return (maker->flags & LAYER_NEEDS_OUTPUT) != 0;
}

/* Lives from its maker to its last reader. */
static void keep_activation(struct planning *p, const struct value *value) {
    int count = p->graph->layers;
    if (value->storage < 0) {
        return;
    }
    if (value->maker < 0) {
        keep(p, value->storage, 0);
    } else {
        int maker = worker_of(p, value->maker)->number;
        keep(p, value->storage, memory_plan_forward_time(maker));
        if (p->training && maker_reads(p, value)) {
            keep(p, value->storage, memory_plan_backward_time(maker, count));
        }
    }
    if (value->taker >= 0) {
        const struct layer *taker = p->graph->layer[value->taker];
        int number = worker_of(p, value->taker)->number;
        keep(p, value->storage, memory_plan_forward_time(number));
        want_border(p, value->storage, taker->input_border);
        if (p->training && (taker->flags & LAYER_NEEDS_INPUT) != 0) {
            keep(p, value->storage, memory_plan_backward_time(number, count));
        }
    } else { /* an output: can be asked for until the next forward */
        keep(p, value->storage, 2 * count + 2);
    }
}

static void keep_gradient(struct planning *p, const struct value *value) {
    int count = p->graph->layers, storage = value->gradient_storage;
    if (storage < 0) {
        return;
    }
    keep(p, storage,
        value->taker < 0 ? memory_plan_loss_time(count)
                         : memory_plan_backward_time(worker_of(p, value->taker)->number, count));
    keep(p, storage, memory_plan_backward_time(worker_of(p, value->maker)->number, count));
    want_border(p, storage, p->graph->layer[value->maker]->gradient_border);
}

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

static void size_blocks(struct planning *p, int pictures) {
    struct memory_plan *plan = p->plan;
    for (int s = 0; s < plan->storages; s++) {
        struct tensor *tensor = &plan->storage[s].tensor;
        tensor_init(tensor, tensor->shape, tensor->border_height, tensor->border_width, pictures);
        plan->block[s].bytes = tensor_bytes(tensor);
    }
    int end = 2 * plan->layers + 2;
    for (int i = 0; i < plan->layers; i++) {
        const struct layer *layer = p->graph->layer[i];
        plan->block[plan->storages + i] = (struct planner_block){
            .bytes = runs(p, layer) ? (layer->saved_bytes + 63) / 64 * 64 : 0,
            .from = memory_plan_forward_time(i),
            .to = p->training ? memory_plan_backward_time(i, plan->layers)
                              : memory_plan_forward_time(i)};
        if (runs(p, layer) && layer->scratch_bytes > plan->scratch) {
            plan->scratch = layer->scratch_bytes;
        }
    }
    plan->scratch = (plan->scratch + 63) / 64 * 64;
    plan->block[plan->storages + plan->layers] =
        (struct planner_block){.bytes = plan->scratch, .from = 0, .to = end};
    plan->blocks = plan->storages + plan->layers + 1;
}

status memory_plan_create(
    struct memory_plan *plan, struct graph *graph, int pictures, bool training) {
    *plan = (struct memory_plan){.layers = graph->layers};
    size_t room = 2 * (size_t)graph->values;
    TRY(pool_take(&graph->pool, (void **)&plan->storage, room, sizeof *plan->storage));
    TRY(pool_take(&graph->pool, (void **)&plan->by_start, room, sizeof *plan->by_start));
    TRY(pool_take(&graph->pool, (void **)&plan->block, room + (size_t)graph->layers + 1,
        sizeof *plan->block));
    struct planning planning = {.plan = plan, .graph = graph, .training = training};
    assign_activations(&planning);
    if (training) {
        assign_gradients(&planning);
    }
    for (int v = 0; v < graph->values; v++) {
        keep_activation(&planning, graph->value[v]);
        keep_gradient(&planning, graph->value[v]);
    }
    size_blocks(&planning, pictures);
    sort_starts(plan);
    return planner_place(&plan->total, plan->block, plan->blocks);
}

void memory_plan_place(const struct memory_plan *plan, struct graph *graph, void *base) {
    unsigned char *memory = base;
    for (int s = 0; s < plan->storages; s++) {
        tensor_place(&plan->storage[s].tensor, memory + plan->block[s].offset);
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
