#include "worker/storage.h"

static bool runs(const struct storage_plan *p, const struct layer *layer) {
    return p->training || !layer->training_only;
}

static int fresh(struct storage_plan *p, struct shape shape) {
    p->storage[p->count] = (struct storage){.tensor = {.shape = shape}, .whole = -1};
    return p->count++;
}

int storage_whole(const struct storage *storage, int number) {
    while (storage[number].whole >= 0) {
        number = storage[number].whole;
    }
    return number;
}

void storage_set_part(struct storage *storage, int number) {
    int block = 0, whole = number;
    for (; storage[whole].whole >= 0; whole = storage[whole].whole) {
        block += storage[whole].first_block;
    }
    struct tensor *part = &storage[number].tensor;
    struct shape shape = part->shape;
    *part = storage[whole].tensor;
    part->shape = shape;
    part->data += block * part->block_stride;
}

bool storage_maker_reads(const struct graph *graph, const struct value *value) {
    const struct layer *maker = graph->layer[value->maker];
    if (maker->carrier != NULL && !maker->carried_forward_only) {
        return value == maker->carrier->result && maker->carrier->masks;
    }
    return (maker->flags & LAYER_NEEDS_OUTPUT) != 0;
}

/* Whether `channels` channels from `first` on are blocks of a value of `all` channels. */
static bool are_blocks(const struct storage_plan *p, int first, int channels, int all) {
    return !p->apart && first % CHANNEL_BLOCK == 0 &&
           (channels % CHANNEL_BLOCK == 0 || first + channels == all);
}

/* ---- activations ---- */

/* Whether nobody needs the input once the layer has run. */
static bool input_is_done_with(const struct storage_plan *p, const struct layer *layer) {
    const struct value *input = layer->input[0];
    const struct layer *own = p->graph->layer[layer->number];
    if (!p->training || input != own->input[0]) { /* backward looks at what is made again */
        return true;
    }
    if (layer != own && own->again) {
        return false;
    }
    if (input->maker >= 0 && (p->graph->layer[input->maker]->flags & LAYER_NEEDS_OUTPUT) != 0) {
        return false;
    }
    return (layer->flags & LAYER_NEEDS_INPUT) == 0;
}

static bool may_overwrite_input(const struct storage_plan *p, const struct layer *layer) {
    const struct value *input = layer->input[0];
    const struct storage *storage = &p->storage[input->storage];
    return (layer->flags & LAYER_IN_PLACE) != 0 && !storage->shared && !storage->joined &&
           shape_equal(input->shape, layer->output[0]->shape) && input_is_done_with(p, layer);
}

static void join_activations(struct storage_plan *p, const struct layer *layer) {
    int all = layer->output[0]->shape.channels, first = 0;
    for (int i = 0; i < layer->inputs; i++) {
        int channels = layer->input[i]->shape.channels;
        struct storage *part = &p->storage[layer->input[i]->storage];
        if (are_blocks(p, first, channels, all) && !part->shared && part->whole < 0) {
            part->whole = layer->output[0]->storage;
            part->first_block = first / CHANNEL_BLOCK;
            p->storage[part->whole].joined = true;
        }
        first += channels;
    }
}

/* `carrier` as it runs at that time. */
static void assign_outputs(
    struct storage_plan *p, const struct layer *layer, const struct layer *carrier) {
    for (int o = 0; o < layer->outputs; o++) {
        struct value *output = layer->output[o];
        if (output->storage >= 0) {
            continue; /* made the first time, and kept */
        }
        if (layer->carrier != NULL) {
            output->storage = carrier->output[0]->storage;
        } else if ((layer->flags & LAYER_VIEW) != 0) {
            output->storage = layer->input[0]->storage;
            p->storage[output->storage].shared = true;
        } else if (o == 0 && may_overwrite_input(p, layer)) {
            output->storage = layer->input[0]->storage;
        } else {
            output->storage = fresh(p, output->shape);
        }
    }
    if ((layer->flags & LAYER_JOINS) != 0) {
        join_activations(p, layer);
    }
}

/* ---- gradients ---- */

/* Whether the gradient of `input` is read with a border by the layer that makes it. */
static bool wants_border(const struct storage_plan *p, const struct value *input) {
    const int *border = p->graph->layer[input->maker]->gradient_border;
    return border[0] > 0 || border[1] > 0;
}

/* A border round a part is one round the whole, which then takes more memory, and no longer reads
 * like one long row: who wants one gets memory of its own. */
static bool may_overwrite_gradient(
    const struct storage_plan *p, const struct value *input, const struct layer *layer, int over) {
    const struct storage *storage = &p->storage[over];
    return (layer->flags & LAYER_GRADIENT_IN_PLACE) != 0 && !storage->shared &&
           shape_equal(input->shape, layer->output[0]->shape) &&
           (storage->whole < 0 || !wants_border(p, input));
}

static int part_of_gradient(
    struct storage_plan *p, const struct value *input, int over, int first, int all) {
    int part = fresh(p, input->shape);
    if (are_blocks(p, first, input->shape.channels, all) && !wants_border(p, input)) {
        p->storage[part].whole = over;
        p->storage[part].first_block = first / CHANNEL_BLOCK;
        p->storage[part].shared = p->storage[over].shared;
    }
    return part;
}

static void assign_input_gradients(struct storage_plan *p, const struct layer *layer) {
    int over = layer->output[0]->gradient_storage, first = 0;
    for (int i = 0; i < layer->inputs; i++) {
        struct value *input = layer->input[i];
        if (!input->wants_gradient) {
            input->gradient_storage = -1;
        } else if (layer->carrier != NULL && !layer->carried_forward_only &&
                   !layer->carrier->masks && layer->carrier->addend == NULL) {
            input->gradient_storage = over; /* nobody else reads it */
        } else if ((layer->flags & LAYER_GRADIENT_VIEW) != 0) {
            input->gradient_storage = over;
            p->storage[over].shared = true;
        } else if ((layer->flags & LAYER_JOINS) != 0) {
            input->gradient_storage =
                part_of_gradient(p, input, over, first, layer->output[0]->shape.channels);
        } else if (i == 0 && may_overwrite_gradient(p, input, layer, over)) {
            input->gradient_storage = over;
        } else {
            input->gradient_storage = fresh(p, input->shape);
        }
        first += input->shape.channels;
    }
}

static void assign_gradients(struct storage_plan *p, const struct layer *layer) {
    for (int o = 0; o < layer->outputs; o++) { /* those that only a loss takes */
        struct value *output = layer->output[o];
        if (output->wants_gradient && output->gradient_storage < 0) {
            output->gradient_storage = fresh(p, output->shape);
        }
    }
    assign_input_gradients(p, layer);
}

static void forget(struct storage_plan *plan) {
    struct graph *graph = plan->graph;
    plan->count = 0;
    for (int v = 0; v < graph->values; v++) {
        struct value *value = graph->value[v];
        value->storage = value->gradient_storage = -1;
        if (value->first != NULL) {
            value->first->storage = value->first->gradient_storage = -1;
        }
    }
}

void storage_assign(struct storage_plan *plan) {
    struct graph *graph = plan->graph;
    forget(plan);
    graph->value[0]->storage = fresh(plan, graph->value[0]->shape);
    for (int i = 0; i < graph->layers; i++) {
        const struct layer *layer = graph->layer[i];
        if (runs(plan, layer)) {
            assign_outputs(plan, layer_first(layer), layer_first(layer_worker(layer)));
        }
    }
    for (int i = 0; i < graph->layers; i++) {
        const struct layer *layer = graph->layer[i];
        if (layer_worker(layer)->again) {
            assign_outputs(plan, layer, layer_worker(layer));
        }
    }
    for (int i = graph->layers - 1; plan->training && i >= 0; i--) {
        assign_gradients(plan, graph->layer[i]);
    }
}
