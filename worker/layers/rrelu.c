/* Rectifier with a random slope below zero (Xu, Wang, Chen, Li 2015): in training drawn anew for
 * every element, uniform between two bounds; in evaluation their middle. */
#include "worker/layers/activation.h"
#include "worker/layers/random_map.h"

struct rrelu_options {
    const char *name;
    double lower, upper;
};

#define BOUND(field, initial_, help_)                                                              \
    {                                                                                              \
        .name = #field, .type = OPTION_REAL, .offset = offsetof(struct rrelu_options, field),      \
        .initial = initial_, .low = 0, .high = 1000, .flags = OPTION_CHANGES_BITS, .help = help_   \
    }
static const struct option rrelu_options[] = {BOUND(lower, "0.125", "least slope"),
    BOUND(upper, "0.3333333333333333", "greatest slope"), LAYER_NAME_OPTION, OPTIONS_END};

static status plan(struct layer *layer, const struct layer_plan *plan) {
    const struct rrelu_options *o = layer->options;
    if (o->lower > o->upper) {
        LAYER_FAIL(layer, "lower %g is more than upper %g", o->lower, o->upper);
    }
    return activation_plan(layer, plan);
}

/* `by` is the input or the output: the sides have the same signs. */
static void pixels(float *out, const float *in, const float *by, const float *uniform, size_t count,
    const struct layer *layer, const struct kernels *kernels) {
    (void)kernels;
    const struct rrelu_options *o = layer->options;
    float lower = (float)o->lower, width = (float)(o->upper - o->lower);
    for (size_t i = 0; i < count; i++) {
        float slope = lower + width * uniform[i];
        out[i] = by[i] > 0 ? in[i] : in[i] * slope;
    }
}

static void forward(
    const struct layer *layer, const struct layer_run *run, const struct pass *pass) {
    const struct rrelu_options *o = layer->options;
    const struct tensor *in = &layer->input[0]->activation;
    if (pass->training) {
        random_map(layer, run, pass, &layer->output[0]->activation, in, in, pixels);
        return;
    }
    _Alignas(64) float middle[CHANNEL_BLOCK];
    for (int l = 0; l < CHANNEL_BLOCK; l++) {
        middle[l] = (float)((o->lower + o->upper) / 2);
    }
    activation_map(layer, run, pass->pictures, run->kernels->activation.prelu, middle, 0);
}

static void backward(
    const struct layer *layer, const struct layer_run *run, const struct pass *pass) {
    if (layer->input[0]->gradient.data != NULL) {
        random_map(layer, run, pass, &layer->input[0]->gradient, &layer->output[0]->gradient,
            &layer->output[0]->activation, pixels);
    }
}

const struct layer_operations layer_rrelu = {
    .kind = {.name = "rrelu",
        .help = "rectifier with a random slope below 0 in training",
        .options = rrelu_options,
        .options_size = sizeof(struct rrelu_options)},
    .plan = plan,
    .forward = forward,
    .backward = backward,
};
