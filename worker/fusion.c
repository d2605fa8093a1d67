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

static void carry_what_follows(struct graph *graph) {
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
            layer->masks = layer->addend != NULL || (layer->flags & LAYER_KNOWS_SIGN) == 0;
            carry(layer, next);
        }
    }
}

/* The layer that does the work of number `number`. */
static struct layer *worker_of(const struct graph *graph, int number) {
    const struct layer *layer = graph->layer[number];
    int worker = layer->carrier != NULL ? layer->carrier->number : number;
    return graph->layer[worker];
}

/* Whether nothing is run between two layers but what the first carries. */
static bool is_next(const struct graph *graph, const struct layer *layer, int number) {
    return layer->result->maker == number - 1 && number < graph->layers;
}

static void hand_output(struct graph *graph, struct layer *layer) {
    int taker = layer->result->taker;
    if ((layer->flags & LAYER_HANDS_OUTPUT) == 0 || !is_next(graph, layer, taker) ||
        graph->layer[taker]->operations->take_input == NULL) {
        return;
    }
    layer->output_to = graph->layer[taker];
    graph->layer[taker]->input_from = layer;
}

/* Backward, the fork's other gradients are all there when its first taker makes its own. */
static bool is_last_back(const struct layer *fork, const struct layer *layer) {
    for (int o = 1; o < fork->outputs; o++) {
        if (fork->output[o]->taker >= 0 && fork->output[o]->taker < layer->number) {
            return false;
        }
    }
    return fork->output[0] == layer->input[0];
}

static void hand_gradient(struct graph *graph, struct layer *layer) {
    const struct value *input = layer->input[0];
    if ((layer->flags & LAYER_HANDS_GRADIENT) == 0 || layer->carrier != NULL || input->maker < 0 ||
        !input->wants_gradient) {
        return;
    }
    struct layer *maker = worker_of(graph, input->maker);
    bool in_turn = maker->operations == &layer_fork
                       ? is_last_back(maker, layer)
                       : input == maker->result && is_next(graph, maker, layer->number);
    if (in_turn && ((maker->flags & LAYER_TAKES_GRADIENT) != 0 || maker->masks)) {
        layer->gradient_to = maker;
        maker->gradient_from = layer;
    }
}

/* A relu whose gradient is not handed on gains nothing backward from being carried: in its own turn
 * its output is needed for less long. */
static void leave_backward(struct graph *graph, struct layer *layer) {
    if (layer->masks && layer->gradient_from == NULL && layer->addend == NULL) {
        graph->layer[layer->result->maker]->carried_forward_only = true;
        layer->masks = false;
    }
}

void fusion_plan(struct graph *graph) {
    carry_what_follows(graph);
    for (int i = 0; i < graph->layers; i++) {
        hand_output(graph, graph->layer[i]);
        hand_gradient(graph, graph->layer[i]);
    }
    for (int i = 0; i < graph->layers; i++) {
        leave_backward(graph, graph->layer[i]);
    }
}
