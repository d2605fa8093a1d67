/* A coefficient and a constant for each channel: y = x * weight + bias. With a pool of sums before
 * it the trainable pool of LeNet-5 (worker/containers/subsample.c). */
#include "worker/layers/channel_sums.h"

enum { WEIGHT, BIAS };

struct lanes {
    _Alignas(64) float value[CHANNEL_BLOCK];
};

struct scale_options {
    const char *name;
    bool bias;
    double coefficient;
};

static const struct option scale_options[] = {
    {.name = "bias",
        .type = OPTION_SWITCH,
        .offset = offsetof(struct scale_options, bias),
        .initial = "true",
        .flags = OPTION_CHANGES_BITS,
        .help = "whether a constant is added to every channel"},
    {.name = "coefficient",
        .type = OPTION_REAL,
        .offset = offsetof(struct scale_options, coefficient),
        .initial = "1",
        .low = -1e6,
        .high = 1e6,
        .flags = OPTION_CHANGES_BITS,
        .help = "every channel's at first"},
    LAYER_NAME_OPTION, OPTIONS_END};

static status plan(struct layer *layer, const struct layer_plan *plan) {
    const struct scale_options *o = layer->options;
    layer_plan_same(layer, LAYER_NEEDS_INPUT | LAYER_GRADIENT_IN_PLACE);
    layer->scratch_bytes = channel_sums_scratch(layer, plan);
    struct parameter_declaration declaration = {.suffix = "weight",
        .kind = PARAMETER_NORM,
        .dimensions = 1,
        .dimension = {layer->input[0]->shape.channels},
        .constant = o->coefficient};
    TRY(layer_declare(layer, &declaration));
    declaration.suffix = "bias";
    declaration.constant = 0;
    return o->bias ? layer_declare(layer, &declaration) : STATUS_OK;
}

/* out = in * weight + bias (NULL: 0), row by row. */
static void run_rows(const struct tensor *out, const struct tensor *in, const float *weight,
    const float *bias, int pictures, const struct layer_run *run) {
    static const struct lanes zeros;
    int blocks = shape_blocks(out->shape.channels);
    size_t count = (size_t)out->shape.width * CHANNEL_BLOCK;
#pragma omp parallel for num_threads(run->threads) schedule(static)
    for (int i = 0; i < pictures * blocks; i++) {
        int n = i / blocks, b = i % blocks;
        const struct elementwise_line line = {.mean = zeros.value,
            .scale = weight + b * CHANNEL_BLOCK,
            .shift = bias != NULL ? bias + b * CHANNEL_BLOCK : zeros.value};
        for (int h = 0; h < out->shape.height; h++) {
            run->kernels->elementwise.normalise(
                tensor_at(out, n, b, h, 0), tensor_at(in, n, b, h, 0), NULL, &line, false, count);
        }
    }
}

static void forward(
    const struct layer *layer, const struct layer_run *run, const struct pass *pass) {
    run_rows(&layer->output[0]->activation, &layer->input[0]->activation,
        layer_weights(layer, run, WEIGHT),
        layer->parameters > BIAS ? layer_weights(layer, run, BIAS) : NULL, pass->pictures, run);
}

static void backward(
    const struct layer *layer, const struct layer_run *run, const struct pass *pass) {
    float *out[TREE_SUBTREES_LIMIT];
    int count = shape_blocks(layer->input[0]->shape.channels) * CHANNEL_BLOCK;
    const struct channel_sums sums =
        channel_sums_run(layer, run, pass, run->kernels->elementwise.gradient_sums);
    layer_gradients(out, layer, pass, WEIGHT);
    pass_fold_leaves(out, sums.product, count, pass);
    if (layer->parameters > BIAS) {
        layer_gradients(out, layer, pass, BIAS);
        pass_fold_leaves(out, sums.sum, count, pass);
    }
    if (layer->input[0]->gradient.data != NULL) {
        run_rows(&layer->input[0]->gradient, &layer->output[0]->gradient,
            layer_weights(layer, run, WEIGHT), NULL, pass->pictures, run);
    }
}

const struct layer_operations layer_scale = {
    .kind = {.name = "scale",
        .help = "a coefficient and a constant for each channel",
        .options = scale_options,
        .options_size = sizeof(struct scale_options)},
    .plan = plan,
    .forward = forward,
    .backward = backward,
};
