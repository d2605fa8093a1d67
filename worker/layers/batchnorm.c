/* Batch norm (Ioffe and Szegedy 2015), over the pictures of a leaf, or with `sync` of the whole
 * batch: y = (x - mean) / sqrt(var +
 * eps) * weight + bias by channel, with running statistics for evaluation.
 *
 * Sums are taken in float over each run of rows (worker/kernels/epilogue.h), forward around a pivot
 * (the run's first pixel, so that a large mean cancels no digits), by whoever makes the rows
 * (worker/handoff.h); then in double over the runs of the leaf.
 * The statistics of a leaf travel with the gradients, times its count of pictures; the running
 * variance takes the unbiased one, as PyTorch does.
 */
#include "worker/kernels/epilogue.h"
#include "worker/layer.h"

#include <math.h>
#include <string.h>

enum { WEIGHT, BIAS, RUNNING_MEAN, RUNNING_VAR };

struct batchnorm_options {
    const char *name;
    double eps, momentum;
    bool sync;
};

static const struct option batchnorm_options[] = {
    {.name = "eps",
        .type = OPTION_REAL,
        .offset = offsetof(struct batchnorm_options, eps),
        .initial = "1e-05",
        .low = 1e-12,
        .high = 1,
        .flags = OPTION_CHANGES_BITS,
        .help = "added to the variance"},
    {.name = "momentum",
        .type = OPTION_REAL,
        .offset = offsetof(struct batchnorm_options, momentum),
        .initial = "0.1",
        .low = 1e-6,
        .high = 1,
        .flags = OPTION_CHANGES_BITS,
        .help = "share of a step's statistics in the running ones"},
    {.name = "sync",
        .type = OPTION_SWITCH,
        .offset = offsetof(struct batchnorm_options, sync),
        .initial = "false",
        .flags = OPTION_CHANGES_BITS,
        .help = "statistics over the whole batch, not over each leaf; the rank's share of it must "
                "be one pass (`batchnorm: {sync: true}` beside `layers` does it for all)"},
    LAYER_NAME_OPTION, OPTIONS_END};

/* By channel of a block; aligned for the kernels. */
struct lanes {
    _Alignas(64) float value[CHANNEL_BLOCK];
};

/* What forward keeps, by leaf and block. */
struct kept {
    struct lanes mean, inverse_deviation, variance;
};

/* The two sums over one run, by picture and block: forward of x - pivot and of its square, backward
 * of the gradient and of its product with x - mean. */
struct record {
    struct lanes first, second, pivot;
};

/* The same over a leaf. */
struct sums {
    double first[CHANNEL_BLOCK], second[CHANNEL_BLOCK];
};

/* What backward works out, by leaf and block: the layer's gradients, and the line dx = dy * scale +
 * (x - mean) * slope + shift. */
struct turned {
    struct lanes scale, slope, shift;
};

struct scratch {
    struct turned *turned; /* [leaves][blocks] */
    float *folded[4];      /* by parameter: [leaves][blocks * 16] */
    struct sums *batch;    /* with sync: [leaves][blocks], then as much as one leaf's once more */
};

#define SUMS (2 * CHANNEL_BLOCK) /* numbers in struct sums */

static size_t lay_out_scratch(struct scratch *scratch, void *memory, size_t leaves, size_t blocks) {
    unsigned char *at = memory;
    size_t batch = (leaves + 1) * blocks * sizeof(struct sums);
    size_t turned = leaves * blocks * sizeof(struct turned);
    size_t folded = leaves * blocks * sizeof(struct lanes);
    if (memory != NULL) {
        scratch->turned = (struct turned *)at;
        for (int p = 0; p < 4; p++) {
            scratch->folded[p] = (float *)(at + turned + (size_t)p * folded);
        }
        scratch->batch = (struct sums *)(at + turned + 4 * folded);
    }
    return turned + 4 * folded + batch;
}

static status declare(struct layer *layer, const char *suffix, enum parameter_kind kind,
    double constant, double momentum) {
    return layer_declare(layer, &(struct parameter_declaration){.suffix = suffix,
                                    .kind = kind,
                                    .dimensions = 1,
                                    .dimension = {layer->input[0]->shape.channels},
                                    .constant = constant,
                                    .momentum = momentum});
}

static status plan(struct layer *layer, const struct layer_plan *plan) {
    const struct batchnorm_options *o = layer->options;
    struct shape shape = layer->input[0]->shape;
    layer_plan_same(
        layer, LAYER_CARRIES_ADD | LAYER_CARRIES_RELU | LAYER_KNOWS_SIGN | LAYER_TAKES_GRADIENT |
                   (plan->training ? LAYER_NEEDS_INPUT | LAYER_GRADIENT_IN_PLACE : LAYER_IN_PLACE));
    int64_t fewest = (int64_t)plan->smallest_leaf * shape.height * shape.width;
    bool sync = o->sync || plan->batchnorm_sync;
    if (plan->training && !sync && plan->smallest_leaf > 0 && fewest < 2) {
        LAYER_FAIL(layer,
            "a leaf of %d picture of %dx%d pixels is too small for batch norm, which needs 2 "
            "values a channel: use a larger train.leaf, or train.last_batch: drop where only the "
            "last batch of an epoch is so short",
            plan->smallest_leaf, shape.height, shape.width);
    }
    TRY(declare(layer, "weight", PARAMETER_NORM, 1, 0));
    TRY(declare(layer, "bias", PARAMETER_NORM, 0, 0));
    TRY(declare(layer, "running_mean", PARAMETER_STATISTIC, 0, o->momentum));
    TRY(declare(layer, "running_var", PARAMETER_STATISTIC, 1, o->momentum));
    size_t blocks = (size_t)shape_blocks(shape.channels);
    if (plan->training) {
        layer->batch_sums = sync ? (int)blocks * SUMS : 0;
        layer->saved_bytes = (size_t)plan->leaves * blocks * sizeof(struct kept);
        layer->scratch_bytes = lay_out_scratch(NULL, NULL, (size_t)plan->leaves, blocks);
        layer->handed_bytes =
            (size_t)plan->pictures * blocks * (size_t)epilogue_runs(shape) * sizeof(struct record);
    }
    return STATUS_OK;
}

static int leaf_of(const struct pass *pass, int picture) {
    int low = 0, high = pass->leaves; /* the last leaf that starts at or before it */
    while (high - low > 1) {
        int middle = (low + high) / 2;
        if (pass->leaf_start[middle] <= picture) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low;
}

/* The records of a picture and block, run by run. */
static struct record *records_of(const struct layer *layer, void *memory, int picture, int block) {
    struct shape shape = layer->input[0]->shape;
    return (struct record *)memory +
           ((ptrdiff_t)picture * shape_blocks(shape.channels) + block) * epilogue_runs(shape);
}

/* Where the sums over some rows go. */
static struct record *record_of(
    const struct layer *layer, void *memory, const struct epilogue_run *rows) {
    return records_of(layer, memory, rows->picture, rows->block) +
           rows->row / epilogue_rows(layer->input[0]->shape);
}

static double values_a_channel(const struct layer *layer, const struct pass *pass, int leaf) {
    struct shape shape = layer->input[0]->shape;
    int pictures = pass->leaf_start[leaf + 1] - pass->leaf_start[leaf];
    return (double)pictures * shape.height * shape.width;
}

static void take_input(const struct layer *layer, const struct layer_run *run,
    const struct pass *pass, const struct epilogue_run *rows) {
    (void)pass;
    const struct tensor *in = &layer->input[0]->activation;
    const float *x = tensor_at(in, rows->picture, rows->block, rows->row, 0);
    struct record *record = record_of(layer, run->handed_input, rows);
    memcpy(&record->pivot, x, sizeof record->pivot);
    run->kernels->elementwise.moments(record->first.value, record->second.value, x, in->row_stride,
        rows->rows, in->shape.width, record->pivot.value);
}

/* The sums around the pivot of the leaf's first run: of x - p = (x - q) + (q - p) and its square.
 */
static struct sums leaf_moments(const struct layer *layer, const struct layer_run *run,
    const struct pass *pass, int leaf, int block) {
    struct shape shape = layer->input[0]->shape;
    const struct lanes *pivot =
        &records_of(layer, run->handed_input, pass->leaf_start[leaf], block)->pivot;
    struct sums total = {.first = {0}};
    for (int n = pass->leaf_start[leaf]; n < pass->leaf_start[leaf + 1]; n++) {
        const struct record *record = records_of(layer, run->handed_input, n, block);
        for (int row = 0; row < shape.height; row += epilogue_rows(shape), record++) {
            double count = epilogue_run_at(shape, n, block, row).rows * (double)shape.width;
            for (int c = 0; c < CHANNEL_BLOCK; c++) {
                double shift = (double)record->pivot.value[c] - (double)pivot->value[c];
                double first = (double)record->first.value[c], moved = first + count * shift;
                total.first[c] += moved;
                total.second[c] += (double)record->second.value[c] + shift * (first + moved);
            }
        }
    }
    return total;
}

static void keep(struct kept *kept, const struct layer *layer, int channel, double count,
    double mean, double variance) {
    const struct batchnorm_options *o = layer->options;
    variance = variance < 0 ? 0 : variance; /* rounding; what is not a number stays so */
    double unbiased = count > 1 ? variance * (count / (count - 1)) : variance;
    kept->mean.value[channel] = (float)mean;
    kept->inverse_deviation.value[channel] = (float)(1.0 / sqrt(variance + o->eps));
    kept->variance.value[channel] = (float)unbiased;
}

static void measure_leaf(const struct layer *layer, const struct layer_run *run,
    const struct pass *pass, struct kept *kept, int leaf, int block) {
    double count = values_a_channel(layer, pass, leaf);
    if (count == 0) {
        return;
    }
    struct sums total = leaf_moments(layer, run, pass, leaf, block);
    const struct lanes *pivot =
        &records_of(layer, run->handed_input, pass->leaf_start[leaf], block)->pivot;
    for (int c = 0; c < CHANNEL_BLOCK; c++) {
        double mean = total.first[c] / count;
        keep(kept, layer, c, count, (double)pivot->value[c] + mean,
            total.second[c] / count - mean * mean);
    }
}

static double values_of_batch(const struct layer *layer, const struct pass *pass) {
    struct shape shape = layer->input[0]->shape;
    return (double)pass_batch_pictures(pass) * shape.height * shape.width;
}

static void sum_batch(
    const struct layer *layer, const struct scratch *scratch, const struct pass *pass) {
    int blocks = shape_blocks(layer->input[0]->shape.channels);
    pass_sum_batch((double *)scratch->batch,
        (double *)(scratch->batch + (ptrdiff_t)pass->leaves * blocks), blocks * SUMS, pass);
}

/* The sums of a leaf around 0, so that those of all leaves can be added up: in double the digits
 * that cancel are not missed. */
static void measure_leaf_around_zero(const struct layer *layer, const struct layer_run *run,
    const struct pass *pass, const struct scratch *scratch, int leaf, int block) {
    int blocks = shape_blocks(layer->input[0]->shape.channels);
    double count = values_a_channel(layer, pass, leaf);
    if (count == 0) {
        return;
    }
    struct sums total = leaf_moments(layer, run, pass, leaf, block);
    const struct lanes *pivot =
        &records_of(layer, run->handed_input, pass->leaf_start[leaf], block)->pivot;
    struct sums *around = &scratch->batch[(ptrdiff_t)leaf * blocks + block];
    for (int c = 0; c < CHANNEL_BLOCK; c++) {
        double p = (double)pivot->value[c], moved = total.first[c] + count * p;
        around->first[c] = moved;
        around->second[c] = total.second[c] + p * (total.first[c] + moved);
    }
}

/* The same statistics for every leaf. */
static void measure_batch(
    const struct layer *layer, const struct layer_run *run, const struct pass *pass) {
    int blocks = shape_blocks(layer->input[0]->shape.channels);
    struct kept *kept = layer->saved;
    struct scratch scratch;
    lay_out_scratch(&scratch, run->scratch, (size_t)pass->leaves, (size_t)blocks);
#pragma omp parallel for num_threads(run->threads) schedule(static)
    for (int i = 0; i < pass->leaves * blocks; i++) {
        measure_leaf_around_zero(layer, run, pass, &scratch, i / blocks, i % blocks);
    }
    sum_batch(layer, &scratch, pass);
    double count = values_of_batch(layer, pass);
    for (int i = 0; i < pass->leaves * blocks; i++) {
        const struct sums *total = &scratch.batch[i % blocks];
        for (int c = 0; c < CHANNEL_BLOCK; c++) {
            double mean = total->first[c] / count;
            keep(&kept[i], layer, c, count, mean, total->second[c] / count - mean * mean);
        }
    }
}

/* The line y = (x - mean) * scale + shift of forward; backward works out the same again where it
 * needs the sign of y. */
static struct elementwise_line forward_line(const struct layer *layer, const struct layer_run *run,
    struct lanes *scale, int block, const float *mean, const float *inverse_deviation) {
    const float *weight = layer_weights(layer, run, WEIGHT) + block * CHANNEL_BLOCK;
    for (int c = 0; c < CHANNEL_BLOCK; c++) {
        scale->value[c] = weight[c] * inverse_deviation[c];
    }
    return (struct elementwise_line){.mean = mean,
        .scale = scale->value,
        .shift = layer_weights(layer, run, BIAS) + block * CHANNEL_BLOCK};
}

static void normalise_picture(const struct layer *layer, const struct layer_run *run, int n,
    int block, const float *mean, const float *inverse_deviation) {
    const struct tensor *in = &layer->input[0]->activation, *out = &layer->result->activation;
    struct lanes scale;
    struct elementwise_line line = forward_line(layer, run, &scale, block, mean, inverse_deviation);
    for (int h = 0; h < in->shape.height; h++) {
        run->kernels->elementwise.normalise(tensor_at(out, n, block, h, 0),
            tensor_at(in, n, block, h, 0),
            layer->addend != NULL ? tensor_at(&layer->addend->activation, n, block, h, 0) : NULL,
            &line, layer->rectifies, (size_t)in->shape.width * CHANNEL_BLOCK);
    }
}

static void forward_training(
    const struct layer *layer, const struct layer_run *run, const struct pass *pass) {
    int blocks = shape_blocks(layer->input[0]->shape.channels);
    struct kept *kept = layer->saved;
    if (layer_input_giver(layer) == NULL) {
        layer_each_run(layer, run, pass, layer->input[0]->shape, take_input);
    }
    if (layer->batch_sums > 0) {
        measure_batch(layer, run, pass);
    }
#pragma omp parallel for num_threads(run->threads) schedule(static)
    for (int i = 0; i < (layer->batch_sums > 0 ? 0 : pass->leaves * blocks); i++) {
        measure_leaf(layer, run, pass, &kept[i], i / blocks, i % blocks);
    }
#pragma omp parallel for num_threads(run->threads) schedule(static)
    for (int i = 0; i < pass->pictures * blocks; i++) {
        const struct kept *k = &kept[leaf_of(pass, i / blocks) * blocks + i % blocks];
        normalise_picture(
            layer, run, i / blocks, i % blocks, k->mean.value, k->inverse_deviation.value);
    }
}

static void forward(
    const struct layer *layer, const struct layer_run *run, const struct pass *pass) {
    if (pass->training) {
        forward_training(layer, run, pass);
        return;
    }
    const struct batchnorm_options *o = layer->options;
    int blocks = shape_blocks(layer->input[0]->shape.channels);
#pragma omp parallel for num_threads(run->threads) schedule(static)
    for (int i = 0; i < pass->pictures * blocks; i++) {
        int first = i % blocks * CHANNEL_BLOCK;
        const float *variance = layer_weights(layer, run, RUNNING_VAR) + first;
        struct lanes inverse_deviation;
        for (int c = 0; c < CHANNEL_BLOCK; c++) {
            inverse_deviation.value[c] = (float)(1.0 / sqrt((double)variance[c] + o->eps));
        }
        normalise_picture(layer, run, i / blocks, i % blocks,
            layer_weights(layer, run, RUNNING_MEAN) + first, inverse_deviation.value);
    }
}

/* The two sums of one run. Where the layer carries a relu, the gradient counts where that let the
 * value through: after an add that is known from the result alone, and the gradient so masked,
 * which the addend takes too, is written; else it is known from the line. */
static void take_gradient(const struct layer *layer, const struct layer_run *run,
    const struct pass *pass, const struct epilogue_run *rows) {
    const struct tensor *in = &layer->input[0]->activation, *gradient = &layer->result->gradient;
    int n = rows->picture, block = rows->block, blocks = shape_blocks(in->shape.channels);
    const struct kept *kept = (const struct kept *)layer->saved + leaf_of(pass, n) * blocks + block;
    struct record *record = record_of(layer, run->handed_gradient, rows);
    struct lanes scale;
    struct elementwise_line line =
        forward_line(layer, run, &scale, block, kept->mean.value, kept->inverse_deviation.value);
    if (layer->masks) {
        layer_map_rows(&layer->output[0]->gradient, gradient, &layer->result->activation, rows,
            run->kernels->elementwise.relu_backward);
        gradient = &layer->output[0]->gradient;
    }
    run->kernels->elementwise.gradient_moments(record->first.value, record->second.value,
        tensor_at(gradient, n, block, rows->row, 0), gradient->row_stride,
        tensor_at(in, n, block, rows->row, 0), in->row_stride, rows->rows, in->shape.width, &line,
        layer->rectifies && !layer->masks);
}

/* Adds up the runs of the pictures of a leaf, in order. */
static struct sums leaf_gradient(const struct layer *layer, const struct layer_run *run,
    const struct pass *pass, int leaf, int block) {
    struct sums total = {.first = {0}};
    for (int n = pass->leaf_start[leaf]; n < pass->leaf_start[leaf + 1]; n++) {
        const struct record *record = records_of(layer, run->handed_gradient, n, block);
        for (int i = 0; i < epilogue_runs(layer->input[0]->shape); i++) {
            for (int c = 0; c < CHANNEL_BLOCK; c++) {
                total.first[c] += (double)record[i].first.value[c];
                total.second[c] += (double)record[i].second.value[c];
            }
        }
    }
    return total;
}

/* The gradients of weight and bias over one leaf, its statistics times its pictures, and the line
 * that gives the gradient of the input. */
static void turn_leaf(const struct layer *layer, const struct layer_run *run,
    const struct pass *pass, const struct scratch *scratch, int leaf, int block, int blocks) {
    const struct kept *kept = (const struct kept *)layer->saved + leaf * blocks + block;
    struct turned *turned = &scratch->turned[leaf * blocks + block];
    const float *weight = layer_weights(layer, run, WEIGHT) + block * CHANNEL_BLOCK;
    int pictures = pass->leaf_start[leaf + 1] - pass->leaf_start[leaf];
    bool sync = layer->batch_sums > 0;
    double count = sync ? values_of_batch(layer, pass) : values_a_channel(layer, pass, leaf);
    if (pictures == 0) {
        return;
    }
    struct sums total = leaf_gradient(layer, run, pass, leaf, block);
    struct sums whole = sync ? scratch->batch[block] : total; /* what the statistics are of */
    ptrdiff_t first = ((ptrdiff_t)leaf * blocks + block) * CHANNEL_BLOCK;
    for (int c = 0; c < CHANNEL_BLOCK; c++) {
        double inverse_deviation = (double)kept->inverse_deviation.value[c];
        double weight_gradient = total.second[c] * inverse_deviation;
        double scale = (double)weight[c] * inverse_deviation;
        turned->scale.value[c] = (float)scale;
        double turn = whole.second[c] * inverse_deviation;
        turned->slope.value[c] = (float)(-scale * inverse_deviation * turn / count);
        turned->shift.value[c] = (float)(-scale * whole.first[c] / count);
        scratch->folded[WEIGHT][first + c] = (float)weight_gradient;
        scratch->folded[BIAS][first + c] = (float)total.first[c];
        scratch->folded[RUNNING_MEAN][first + c] = (float)pictures * kept->mean.value[c];
        scratch->folded[RUNNING_VAR][first + c] = (float)pictures * kept->variance.value[c];
    }
}

static void backward_picture(const struct layer *layer, const struct layer_run *run, int n,
    int block, const struct kept *kept, const struct turned *turned) {
    const struct tensor *in = &layer->input[0]->activation;
    const struct tensor *gradient =
        layer->masks ? &layer->output[0]->gradient : &layer->result->gradient;
    size_t count = (size_t)in->shape.width * CHANNEL_BLOCK;
    struct lanes scale;
    struct elementwise_line line =
        forward_line(layer, run, &scale, block, kept->mean.value, kept->inverse_deviation.value);
    struct elementwise_turn turn = {turned->scale.value, turned->slope.value, turned->shift.value};
    for (int h = 0; h < in->shape.height; h++) {
        float *dx = tensor_at(&layer->input[0]->gradient, n, block, h, 0);
        run->kernels->elementwise.normalise_backward(dx, tensor_at(gradient, n, block, h, 0),
            tensor_at(in, n, block, h, 0), &line, &turn, layer->rectifies && !layer->masks, count);
    }
}

static void backward(
    const struct layer *layer, const struct layer_run *run, const struct pass *pass) {
    int blocks = shape_blocks(layer->input[0]->shape.channels);
    const struct kept *kept = layer->saved;
    struct scratch scratch;
    lay_out_scratch(&scratch, run->scratch, (size_t)pass->leaves, (size_t)blocks);
    if (layer->gradient_from == NULL) {
        layer_each_run(layer, run, pass, layer->input[0]->shape, take_gradient);
    }
    if (layer->batch_sums > 0 && pass->pictures > 0) {
        for (int i = 0; i < pass->leaves * blocks; i++) {
            scratch.batch[i] = leaf_gradient(layer, run, pass, i / blocks, i % blocks);
        }
        sum_batch(layer, &scratch, pass);
    }
#pragma omp parallel for num_threads(run->threads) schedule(static)
    for (int i = 0; i < pass->leaves * blocks; i++) {
        turn_leaf(layer, run, pass, &scratch, i / blocks, i % blocks, blocks);
    }
    if (layer->input[0]->gradient.data != NULL) {
#pragma omp parallel for num_threads(run->threads) schedule(static)
        for (int i = 0; i < pass->pictures * blocks; i++) {
            int place = leaf_of(pass, i / blocks) * blocks + i % blocks;
            backward_picture(
                layer, run, i / blocks, i % blocks, &kept[place], &scratch.turned[place]);
        }
    }
    for (int p = 0; p < layer->parameters; p++) {
        float *out[TREE_SUBTREES_LIMIT];
        layer_gradients(out, layer, pass, p);
        pass_fold_leaves(out, scratch.folded[p], blocks * CHANNEL_BLOCK, pass);
    }
}

const struct layer_operations layer_batchnorm = {
    .kind = {.name = "batchnorm",
        .help = "batch norm: mean 0 and variance 1 by channel over a leaf or the batch, then scale "
                "and shift",
        .options = batchnorm_options,
        .options_size = sizeof(struct batchnorm_options)},
    .plan = plan,
    .forward = forward,
    .backward = backward,
    .take_input = take_input,
    .take_gradient = take_gradient,
};
