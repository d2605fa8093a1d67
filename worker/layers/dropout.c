/* Dropout (Srivastava et al. 2014), scaled in training so that evaluation does nothing.
 *
 * Whether an element is kept is a pure function of (seed, layer, step, position of the picture in
 * the step, element); backward asks it again, so nothing is saved. Elements are numbered in the
 * order (channel block, row, column, channel in the block), four to a random block.
 */
#include "base/random.h"
#include "worker/layer.h"

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

/* out = in * mask of one channel block of one picture. */
static void mask_block(const struct tensor *out, const struct tensor *in, int picture, int block,
    float rate, const struct random_place *place) {
    struct shape shape = out->shape;
    float kept = 1.0f / (1.0f - rate);
    uint32_t number = (uint32_t)block * (uint32_t)(shape.height * shape.width) * 4;
    for (int h = 0; h < shape.height; h++) {
        float *y = tensor_at(out, picture, block, h, 0);
        const float *x = tensor_at(in, picture, block, h, 0);
        for (int j = 0; j < shape.width * CHANNEL_BLOCK; j += 4) {
            uint32_t words[4];
            random_block(words, place, number++);
            for (int k = 0; k < 4; k++) {
                y[j + k] = random_uniform(words[k]) >= rate ? x[j + k] * kept : 0.0f;
            }
        }
    }
}

static void mask(const struct layer *layer, const struct layer_run *run, const struct pass *pass,
    const struct tensor *out, const struct tensor *in) {
    const struct dropout_options *o = layer->options;
    int blocks = shape_blocks(out->shape.channels);
#pragma omp parallel for num_threads(run->threads) schedule(static)
    for (int i = 0; i < pass->pictures * blocks; i++) {
        const struct random_place place = {
            .seed = pass->seed,
            .purpose = RANDOM_DROPOUT,
            .unit = (uint32_t)layer->number,
            .time = pass->step,
            .item = (uint32_t)(pass->first_position + i / blocks),
        };
        mask_block(out, in, i / blocks, i % blocks, (float)o->rate, &place);
    }
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
        mask(layer, run, pass, out, in);
    } else {
        layer_map(out, in, pass->pictures, copy, run);
    }
}

static void backward(
    const struct layer *layer, const struct layer_run *run, const struct pass *pass) {
    if (layer->input[0]->gradient.data != NULL) {
        mask(layer, run, pass, &layer->input[0]->gradient, &layer->output[0]->gradient);
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
