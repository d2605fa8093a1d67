/* Rectifier with a learned slope below zero (He, Zhang, Ren, Sun 2015, "Delving deep"): one for
 * each channel, or one for all. As the paper says the slopes do not decay: they count as those of a
 * norm. */
#include "worker/layers/activation.h"
#include "worker/layers/channel_sums.h"

struct prelu_options {
    const char *name;
    double slope;
    bool shared;
};

static const struct option prelu_options[] = {{.name = "slope",
                                                  .type = OPTION_REAL,
                                                  .offset = offsetof(struct prelu_options, slope),
                                                  .initial = "0.25",
                                                  .low = -1000,
                                                  .high = 1000,
                                                  .flags = OPTION_CHANGES_BITS,
                                                  .help = "below zero, at first"},
    {.name = "shared",
        .type = OPTION_SWITCH,
        .offset = offsetof(struct prelu_options, shared),
        .initial = "false",
        .flags = OPTION_CHANGES_BITS,
        .help = "one slope for all channels"},
    LAYER_NAME_OPTION, OPTIONS_END};

static status plan(struct layer *layer, const struct layer_plan *plan) {
    const struct prelu_options *o = layer->options;
    layer_plan_same(layer, LAYER_NEEDS_INPUT | LAYER_GRADIENT_IN_PLACE);
    layer->scratch_bytes = channel_sums_scratch(layer, plan);
    return layer_declare(layer, &(struct parameter_declaration){.suffix = "weight",
                                    .kind = PARAMETER_NORM,
                                    .dimensions = 1,
                                    .dimension = {o->shared ? 1 : layer->input[0]->shape.channels},
                                    .constant = o->slope});
}

/* The slopes of the blocks, and in *step how far they lie apart: of a shared one all lanes. */
static const float *slopes(
    int *step, float lanes[CHANNEL_BLOCK], const struct layer *layer, const struct layer_run *run) {
    const float *weights = layer_weights(layer, run, 0);
    *step = CHANNEL_BLOCK;
    if (((const struct prelu_options *)layer->options)->shared) {
        *step = 0;
        for (int l = 0; l < CHANNEL_BLOCK; l++) {
            lanes[l] = weights[0];
        }
        return lanes;
    }
    return weights;
}

static void forward(
    const struct layer *layer, const struct layer_run *run, const struct pass *pass) {
    _Alignas(64) float lanes[CHANNEL_BLOCK];
    int step;
    const float *slope = slopes(&step, lanes, layer, run);
    activation_map(layer, run, pass->pictures, run->kernels->activation.prelu, slope, step);
}

/* All channels of a leaf in one: into the first lane of as many as the parameter is packed in. The
 * place of leaf l is read before it is written, and never after. */
static void add_channels(float *values, int leaves, int count) {
    for (int l = 0; l < leaves; l++) {
        double sum = 0;
        for (int c = 0; c < count; c++) {
            sum += (double)values[l * count + c];
        }
        for (int c = 0; c < CHANNEL_BLOCK; c++) {
            values[l * CHANNEL_BLOCK + c] = c == 0 ? (float)sum : 0.0f;
        }
    }
}

static void backward(
    const struct layer *layer, const struct layer_run *run, const struct pass *pass) {
    const struct prelu_options *o = layer->options;
    int count = shape_blocks(layer->input[0]->shape.channels) * CHANNEL_BLOCK, step;
    const struct channel_sums sums =
        channel_sums_run(layer, run, pass, run->kernels->activation.prelu_moments);
    if (o->shared) {
        add_channels(sums.product, pass->leaves, count);
    }
    float *out[TREE_SUBTREES_LIMIT];
    layer_gradients(out, layer, pass, 0);
    pass_fold_leaves(out, sums.product, o->shared ? CHANNEL_BLOCK : count, pass);
    _Alignas(64) float lanes[CHANNEL_BLOCK];
    const float *slope = slopes(&step, lanes, layer, run);
    activation_map_backward(layer, run, pass->pictures, &layer->input[0]->activation,
        run->kernels->activation.prelu_backward, slope, step);
}

const struct layer_operations layer_prelu = {
    .kind = {.name = "prelu",
        .help = "rectifier with a learned slope below 0",
        .options = prelu_options,
        .options_size = sizeof(struct prelu_options)},
    .plan = plan,
    .forward = forward,
    .backward = backward,
};
