#include "worker/handoff.h"

/* The epilogue is the first thing in it. */
static const struct handoff *handoff_of(const struct epilogue *epilogue) {
    return (const struct handoff *)(const void *)epilogue;
}

static void hand_output(const struct epilogue *epilogue, const struct epilogue_run *rows) {
    const struct handoff *handoff = handoff_of(epilogue);
    const struct layer *layer = handoff->layer, *to = layer_output_taker(layer);
    const struct tensor *out = &layer->result->activation;
    if (layer->rectifies) {
        for (int h = rows->row; h < rows->row + rows->rows; h++) {
            float *row = tensor_at(out, rows->picture, rows->block, h, 0);
            handoff->run->kernels->elementwise.relu(
                row, row, (size_t)out->shape.width * CHANNEL_BLOCK);
        }
    }
    if (to != NULL && handoff->pass->training) {
        to->operations->take_input(to, handoff->run, handoff->pass, rows);
    }
}

static void hand_gradient(const struct epilogue *epilogue, const struct epilogue_run *rows) {
    const struct handoff *handoff = handoff_of(epilogue);
    const struct layer *to = handoff->layer->gradient_to;
    to->operations->take_gradient(to, handoff->run, handoff->pass, rows);
}

const struct epilogue *handoff_output(struct handoff *handoff, const struct layer *layer,
    const struct layer_run *run, const struct pass *pass) {
    *handoff = (struct handoff){{.run = hand_output}, layer, run, pass};
    bool idle = !layer->rectifies && (layer_output_taker(layer) == NULL || !pass->training);
    return idle ? NULL : &handoff->epilogue;
}

static void add_read(struct epilogue *epilogue, const struct tensor *tensor) {
    if (epilogue->reads < EPILOGUE_READS) {
        epilogue->read[epilogue->reads++] = tensor;
    }
}

/* What the layer reads in take_gradient, and those that it hands on to. */
static void add_reads(struct epilogue *epilogue, const struct layer *layer) {
    for (int o = 1; o < layer->outputs; o++) {
        add_read(epilogue, &layer->output[o]->gradient);
    }
    if (layer->masks) {
        add_read(epilogue, &layer->result->activation);
    }
    if (layer->operations->take_input != NULL) {
        add_read(epilogue, &layer->input[0]->activation);
    }
    if (layer->gradient_to != NULL && (layer->flags & LAYER_VIEW) != 0) {
        add_reads(epilogue, layer->gradient_to);
    }
}

const struct epilogue *handoff_gradient(struct handoff *handoff, const struct layer *layer,
    const struct layer_run *run, const struct pass *pass) {
    *handoff = (struct handoff){{.run = hand_gradient}, layer, run, pass};
    if (layer->gradient_to == NULL) {
        return NULL;
    }
    add_reads(&handoff->epilogue, layer->gradient_to);
    return &handoff->epilogue;
}
