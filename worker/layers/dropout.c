/* Dropout (Srivastava et al. 2014), scaled in training so that evaluation does nothing.
 * Nothing is saved: see random_map.h. */
#include "worker/layers/random_map.h"

struct dropout_options {
    const char *name;
    double rate;
};

static const struct option dropout_options[] = {
    {.name = "rate",
        .type = OPTION_REAL,
        .offset = offsetof(struct dropout_options, rate),
        .initial = "0.5",
        .low = 0,
        .high = 0.999,
        .flags = OPTION_CHANGES_BITS,
        .help = "share of elements set to zero"},
    LAYER_NAME_OPTION, OPTIONS_END};

static status plan(struct layer *layer, const struct layer_plan *plan) {
    (void)plan;
    layer_plan_same(layer, LAYER_IN_PLACE | LAYER_GRADIENT_IN_PLACE);
    return STATUS_OK;
}

static void mask(float *out, const float *in, const float *by, const float *uniform, size_t count,
    const struct layer *layer, const struct kernels *kernels) {
    (void)by;
    float rate = (float)((const struct dropout_options *)layer->options)->rate;
    kernels->elementwise.mask(out, in, uniform, rate, 1.0f / (1.0f - rate), count);
}

static void copy(float *out, const float *in, size_t count) {
    for (size_t i = 0; out != in && i < count; i++) {
        out[i] = in[i];
    }
}

static void forward(
    const struct layer *layer, const struct layer_run *run, const struct pass *pass) {
    const struct tensor *out = &layer->output[0]->activation, *in = &layer->input[0]->activation;
    if (pass->training) {
        random_map(layer, run, pass, out, in, in, mask);
    } else {
        layer_map(out, in, pass->pictures, copy, run);
    }
}

static void backward(
    const struct layer *layer, const struct layer_run *run, const struct pass *pass) {
    if (layer->input[0]->gradient.data != NULL) {
        const struct tensor *dy = &layer->output[0]->gradient;
        random_map(layer, run, pass, &layer->input[0]->gradient, dy, dy, mask);
    }
}

const struct layer_operations layer_dropout = {
    .kind = {.name = "dropout",
        .help = "sets elements to zero at random in training and scales up the others",
        .options = dropout_options,
        .options_size = sizeof(struct dropout_options)},
    .plan = plan,
    .forward = forward,
    .backward = backward,
};
