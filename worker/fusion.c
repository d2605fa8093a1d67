#include "worker/fusion.h"

/* The layer right after number `number` of the order, if it is of this kind and takes `value`. */
static struct layer *follower(const struct graph *graph, int number, const struct value *value,
    const struct layer_operations *operations) {
    if (value->taker != number + 1) {
        return NULL;
    }
    struct layer *next = graph->layer[number + 1];
    return next->operations == operations ? next : NULL;
}

static void carry(struct layer *layer, struct layer *carried) {
    carried->carrier = layer;
    layer->result = carried->output[0];
}

void fusion_plan(struct graph *graph) {
    for (int i = 0; i < graph->layers; i++) {
        struct layer *layer = graph->layer[i], *next;
        int last = i;
        if ((layer->flags & LAYER_CARRIES_ADD) != 0 &&
            (next = follower(graph, last, layer->result, &layer_add)) != NULL) {
            layer->addend = next->input[next->input[0] == layer->result];
            carry(layer, next);
            last++;
        }
        if ((layer->flags & LAYER_CARRIES_RELU) != 0 &&
            (next = follower(graph, last, layer->result, &layer_relu)) != NULL) {
            layer->rectifies = true;
            carry(layer, next);
        }
    }
}
