#include "worker/recompute.h"

#include "base/memory.h"
#include "worker/storage.h"

/* Whether the net can be cut before layer `number`, `open` values being on their way there. A value
 * that is only another name for one inside the segment would keep that one's memory. */
static bool can_cut(const struct graph *graph, int number, int open) {
    const struct layer *layer = graph->layer[number];
    int maker = layer->input[0]->maker;
    return number > 0 && open == 1 && layer->carrier == NULL && maker >= 0 &&
           (graph->layer[maker]->flags & LAYER_VIEW) == 0;
}

/* Values on their way after a layer, of `open` before it. */
static int open_after(const struct layer *layer, int open) {
    open -= layer->inputs;
    for (int o = 0; o < layer->outputs; o++) {
        open += layer->output[o]->taker >= 0;
    }
    return open;
}

int recompute_limit(const struct graph *graph) {
    int segments = 1, open = 1;
    for (int i = 0; i < graph->layers; i++) {
        segments += can_cut(graph, i, open);
        open = open_after(graph->layer[i], open);
    }
    return segments;
}

/* Elements of memory of its own. */
static double made_by(const struct layer *layer) {
    double elements = 0;
    bool own = layer->carrier == NULL && (layer->flags & LAYER_VIEW) == 0;
    for (int o = 0; own && o < layer->outputs; o++) {
        elements += (double)shape_elements(layer->output[o]->shape);
    }
    return elements;
}

/* At the first place that can be cut after each `segments`-th part of all that is made. */
static status cut(struct graph *graph, int segments, struct pool *pool) {
    double all = 0, made = 0;
    TRY(pool_take(pool, (void **)&graph->segment, (size_t)segments, sizeof *graph->segment));
    for (int i = 0; i < graph->layers; i++) {
        all += made_by(graph->layer[i]);
    }
    graph->segments = 1;
    graph->segment[0].from = 0;
    for (int i = 0, open = 1; i < graph->layers; i++) {
        if (graph->segments < segments && made * segments >= all * graph->segments &&
            can_cut(graph, i, open)) {
            graph->segment[graph->segments - 1].past = i;
            graph->segment[graph->segments++].from = i;
        }
        made += made_by(graph->layer[i]);
        open = open_after(graph->layer[i], open);
    }
    graph->segment[graph->segments - 1].past = graph->layers;
    return STATUS_OK;
}

/* The layer in whose backward something is first done with the gradients of the segment. */
static int first_in_backward(const struct graph *graph, const struct graph_segment *segment) {
    int first = segment->past - 1;
    for (int i = segment->from; i < segment->past; i++) {
        int number = layer_gradient_giver(layer_worker(graph->layer[i]))->number;
        first = number > first ? number : first;
    }
    return first;
}

/* ---- what is made twice ---- */

static bool crosses(const struct value *value, int past) {
    return value->taker < 0 || value->taker >= past;
}

/* All values inside; not what is expensive to make, where only the cheap ones are wanted, nor what
 * other ranks take part in. */
static void mark_twice(struct graph *graph, int from, int past, enum recompute recompute) {
    for (int i = from; i < past; i++) {
        const struct layer *layer = graph->layer[i], *worker = layer_worker(layer);
        bool once =
            (recompute == RECOMPUTE_CHEAP && worker->convolution != NULL) || worker->batch_sums > 0;
        for (int o = 0; o < layer->outputs; o++) {
            layer->output[o]->twice = !once && !crosses(layer->output[o], past);
        }
    }
}

/* What is kept keeps the memory of those that it is made of, or that are the same. */
static void keep_sources(struct graph *graph, int from, int past) {
    for (int i = past - 1; i >= from; i--) {
        const struct layer *layer = graph->layer[i];
        bool kept = false;
        for (int o = 0; o < layer->outputs; o++) {
            kept = kept || !layer->output[o]->twice;
        }
        for (int j = 0; kept && (layer->flags & (LAYER_JOINS | LAYER_VIEW)) && j < layer->inputs;
             j++) {
            layer->input[j]->twice = false;
        }
    }
    for (int i = from; i < past; i++) {
        const struct layer *layer = graph->layer[i];
        for (int o = 0; (layer->flags & LAYER_VIEW) != 0 && o < layer->outputs; o++) {
            layer->output[o]->twice = layer->output[o]->twice && layer->input[0]->twice;
        }
    }
}

/* ---- what runs again ---- */

static void need_for_backward(struct graph *graph, const struct layer *layer) {
    for (int i = 0; (layer->flags & LAYER_NEEDS_INPUT) != 0 && i < layer->inputs; i++) {
        layer->input[i]->needed = true;
    }
    for (int o = 0; o < layer->outputs; o++) {
        struct value *output = layer->output[o];
        output->needed = output->needed || storage_maker_reads(graph, output);
    }
}

static bool is_missing(const struct value *value) {
    return value->twice && value->needed;
}

/* Takers come after makers, so that one way back finds all. What a layer carries is made when it
 * is itself: all of it is asked for at one time. */
static void mark_again(struct graph *graph, int from, int past) {
    for (int i = past - 1; i >= from; i--) {
        struct layer *layer = graph->layer[i];
        struct layer *worker = graph->layer[layer_worker(layer)->number];
        if (layer->output[0]->wants_gradient) {
            need_for_backward(graph, layer);
        }
        bool stored = layer->output[0] == worker->result || layer->carrier == NULL;
        for (int o = 0; stored && o < layer->outputs; o++) {
            worker->again = worker->again || is_missing(layer->output[o]);
        }
        for (int j = 0; worker->again && j < layer->inputs; j++) {
            layer->input[j]->needed = true;
        }
    }
}

/* ---- the layers of the first forward ---- */

static status make_first_value(struct value *value, struct pool *pool) {
    if (value->twice && value->first == NULL) {
        TRY(pool_take(pool, (void **)&value->first, 1, sizeof *value->first));
        *value->first = *value;
        value->first->first = NULL;
    }
    return STATUS_OK;
}

static struct value *first_of(struct value *value) {
    return value->first != NULL ? value->first : value;
}

static status make_first_layer(struct layer *layer, struct pool *pool) {
    bool twice = false;
    for (int i = 0; i < layer->inputs; i++) {
        twice = twice || layer->input[i]->twice;
    }
    for (int o = 0; o < layer->outputs; o++) {
        twice = twice || layer->output[o]->twice;
        TRY(make_first_value(layer->output[o], pool));
    }
    if (!twice) {
        return STATUS_OK;
    }
    TRY(pool_take(pool, (void **)&layer->first, 1, sizeof *layer->first));
    struct layer *first = layer->first;
    *first = *layer;
    first->first = NULL;
    first->again = false;
    for (int i = 0; i < layer->inputs; i++) {
        first->input[i] = first_of(layer->input[i]);
    }
    for (int o = 0; o < layer->outputs; o++) {
        first->output[o] = first_of(layer->output[o]);
    }
    return STATUS_OK;
}

/* To what comes after it: once all have their first values and layers. */
static void link_first(struct layer *layer) {
    struct layer *first = layer->first;
    if (first != NULL && layer->result->first != NULL) {
        first->result = layer->result->first;
    }
    if (first != NULL && layer->addend != NULL && layer->addend->first != NULL) {
        first->addend = layer->addend->first;
    }
    if (first != NULL && layer->output_to != NULL) {
        first->output_to = layer_first(layer->output_to);
    }
}

static void forget(struct graph *graph) {
    for (int v = 0; v < graph->values; v++) {
        graph->value[v]->first = NULL;
        graph->value[v]->twice = graph->value[v]->needed = false;
    }
    for (int i = 0; i < graph->layers; i++) {
        graph->layer[i]->first = NULL;
        graph->layer[i]->again = false;
    }
}

status recompute_plan(
    struct graph *graph, enum recompute recompute, int segments, struct pool *pool) {
    forget(graph);
    TRY(cut(graph, segments, pool));
    for (int s = 0; s < graph->segments; s++) {
        graph->segment[s].before = first_in_backward(graph, &graph->segment[s]);
    }
    for (int s = 0; s < graph->segments - 1; s++) { /* the last one is made once */
        int from = graph->segment[s].from, past = graph->segment[s].past;
        mark_twice(graph, from, past, recompute);
        keep_sources(graph, from, past);
        mark_again(graph, from, past);
        for (int i = from; i < past; i++) {
            TRY(make_first_layer(graph->layer[i], pool));
        }
        for (int i = from; i < past; i++) {
            link_first(graph->layer[i]);
        }
    }
    return STATUS_OK;
}
