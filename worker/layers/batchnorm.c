/* Batch norm (Ioffe and Szegedy 2015), over the pictures of a leaf: y = (x - mean) / sqrt(var +
 * eps) * weight + bias by channel, with running statistics for evaluation.
 *
 * Sums are taken in float along each row around a pivot (the leaf's first pixel, so that a large
 * mean cancels no digits), then in double over the rows of a picture and the pictures of the leaf.
 * The statistics of a leaf travel with the gradients, times its count of pictures; the running
 * variance takes the unbiased one, as PyTorch does.
 */
#include "worker/layer.h"

#include <math.h>

enum { WEIGHT, BIAS, RUNNING_MEAN, RUNNING_VAR };

struct batchnorm_options {
    const char *name;
    double eps, momentum;
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
    LAYER_NAME_OPTION, OPTIONS_END};

/* By channel of a block; aligned for the kernels. */
struct lanes {
    _Alignas(64) float value[CHANNEL_BLOCK];
};

/* What forward keeps, by leaf and block. */
struct kept {
    struct lanes mean, inverse_deviation, variance;
};

/* Two sums in double, by picture and block. */
struct sums {
    double first[CHANNEL_BLOCK], second[CHANNEL_BLOCK];
};

/* What backward works out, by leaf and block: the layer's gradients, and the line dx = dy * scale +
 * (x - mean) * slope + shift. */
struct turned {
    struct lanes scale, slope, shift;
};

struct scratch {
    struct sums *sums;     /* [pictures][blocks] */
    struct turned *turned; /* [leaves][blocks] */
    float *folded[4];      /* by parameter: [leaves][blocks * 16] */
};

static size_t lay_out_scratch(
    struct scratch *scratch, void *memory, size_t pictures, size_t leaves, size_t blocks) {
    unsigned char *at = memory;
    size_t sums = pictures * blocks * sizeof(struct sums);
    size_t turned = leaves * blocks * sizeof(struct turned);
    size_t folded = leaves * blocks * sizeof(struct lanes);
    if (memory != NULL) {
        scratch->sums = (struct sums *)at;
        scratch->turned = (struct turned *)(at + sums);
        for (int p = 0; p < 4; p++) {
            scratch->folded[p] = (float *)(at + sums + turned + (size_t)p * folded);
        }
    }
    return sums + turned + 4 * folded;
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
        layer, LAYER_CARRIES_ADD | LAYER_CARRIES_RELU |
                   (plan->training ? LAYER_NEEDS_INPUT | LAYER_GRADIENT_IN_PLACE : LAYER_IN_PLACE));
    int64_t fewest = (int64_t)plan->smallest_leaf * shape.height * shape.width;
    if (plan->training && plan->smallest_leaf > 0 && fewest < 2) {
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
        layer->saved_bytes = (size_t)plan->leaves * blocks * sizeof(struct kept);
        layer->scratch_bytes =
            lay_out_scratch(NULL, NULL, (size_t)plan->pictures, (size_t)plan->leaves, blocks);
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

static void add_row(struct sums *sums, const struct lanes *first, const struct lanes *second) {
    for (int c = 0; c < CHANNEL_BLOCK; c++) {
        sums->first[c] += (double)first->value[c];
        sums->second[c] += (double)second->value[c];
    }
}

/* Adds up the pictures of a leaf, in order. */
static struct sums leaf_sums(
    const struct sums *sums, const struct pass *pass, int leaf, int block, int blocks) {
    struct sums total = {.first = {0}};
    for (int n = pass->leaf_start[leaf]; n < pass->leaf_start[leaf + 1]; n++) {
        const struct sums *picture = &sums[(ptrdiff_t)n * blocks + block];
        for (int c = 0; c < CHANNEL_BLOCK; c++) {
            total.first[c] += picture->first[c];
            total.second[c] += picture->second[c];
        }
    }
    return total;
}

static double values_a_channel(const struct layer *layer, const struct pass *pass, int leaf) {
    struct shape shape = layer->input[0]->shape;
    int pictures = pass->leaf_start[leaf + 1] - pass->leaf_start[leaf];
    return (double)pictures * shape.height * shape.width;
}

static void measure_picture(const struct layer *layer, const struct layer_run *run,
    const struct pass *pass, struct sums *sums, int n, int block) {
    const struct tensor *in = &layer->input[0]->activation;
    const float *pivot = tensor_at(in, pass->leaf_start[leaf_of(pass, n)], block, 0, 0);
    *sums = (struct sums){.first = {0}};
    for (int h = 0; h < in->shape.height; h++) {
        struct lanes sum, square;
        run->kernels->elementwise.moments(sum.value, square.value, tensor_at(in, n, block, h, 0),
            pivot, (size_t)in->shape.width * CHANNEL_BLOCK);
        add_row(sums, &sum, &square);
    }
}

static void measure_leaf(const struct layer *layer, const struct pass *pass, struct kept *kept,
    const struct sums *sums, int leaf, int block, int blocks) {
    const struct batchnorm_options *o = layer->options;
    const float *pivot =
        tensor_at(&layer->input[0]->activation, pass->leaf_start[leaf], block, 0, 0);
    double count = values_a_channel(layer, pass, leaf);
    if (count == 0) {
        return;
    }
    struct sums total = leaf_sums(sums, pass, leaf, block, blocks);
    for (int c = 0; c < CHANNEL_BLOCK; c++) {
        double mean = total.first[c] / count;
        double variance = total.second[c] / count - mean * mean;
        variance = variance < 0 ? 0 : variance; /* rounding; what is not a number stays so */
        double unbiased = count > 1 ? variance * (count / (count - 1)) : variance;
        kept->mean.value[c] = (float)((double)pivot[c] + mean);
        kept->inverse_deviation.value[c] = (float)(1.0 / sqrt(variance + o->eps));
        kept->variance.value[c] = (float)unbiased;
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
    struct scratch scratch;
    lay_out_scratch(
        &scratch, run->scratch, (size_t)pass->pictures, (size_t)pass->leaves, (size_t)blocks);
    struct kept *kept = layer->saved;
#pragma omp parallel for num_threads(run->threads) schedule(static)
    for (int i = 0; i < pass->pictures * blocks; i++) {
        measure_picture(layer, run, pass, &scratch.sums[i], i / blocks, i % blocks);
    }
#pragma omp parallel for num_threads(run->threads) schedule(static)
    for (int i = 0; i < pass->leaves * blocks; i++) {
        measure_leaf(layer, pass, &kept[i], scratch.sums, i / blocks, i % blocks, blocks);
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

/* The two sums of one row. Where the layer carries a relu, the gradient counts where that let the
 * value through: after an add that is known from the result alone, and the gradient so masked,
 * which the addend takes too, is written; else it is known from the line. */
static void measure_gradient(const struct layer *layer, const struct layer_run *run,
    struct sums *sums, int n, int block, const struct kept *kept) {
    const struct elementwise_kernels *kernels = &run->kernels->elementwise;
    const struct tensor *in = &layer->input[0]->activation, *gradient = &layer->result->gradient;
    size_t count = (size_t)in->shape.width * CHANNEL_BLOCK;
    struct lanes scale;
    struct elementwise_line line =
        forward_line(layer, run, &scale, block, kept->mean.value, kept->inverse_deviation.value);
    *sums = (struct sums){.first = {0}};
    for (int h = 0; h < in->shape.height; h++) {
        struct lanes sum, product;
        const float *x = tensor_at(in, n, block, h, 0);
        const float *dy = tensor_at(gradient, n, block, h, 0);
        if (layer->rectifies && layer->addend != NULL) {
            float *masked = tensor_at(&layer->output[0]->gradient, n, block, h, 0);
            kernels->relu_backward(
                masked, dy, tensor_at(&layer->result->activation, n, block, h, 0), count);
            dy = masked;
        }
        if (layer->rectifies && layer->addend == NULL) {
            kernels->gradient_moments_rectified(sum.value, product.value, dy, x, &line, count);
        } else {
            kernels->gradient_moments(sum.value, product.value, dy, x, line.mean, count);
        }
        add_row(sums, &sum, &product);
    }
}

/* The gradients of weight and bias over one leaf, its statistics times its pictures, and the line
 * that gives the gradient of the input. */
static void turn_leaf(const struct layer *layer, const struct layer_run *run,
    const struct pass *pass, const struct scratch *scratch, int leaf, int block, int blocks) {
    const struct kept *kept = (const struct kept *)layer->saved + leaf * blocks + block;
    struct turned *turned = &scratch->turned[leaf * blocks + block];
    const float *weight = layer_weights(layer, run, WEIGHT) + block * CHANNEL_BLOCK;
    int pictures = pass->leaf_start[leaf + 1] - pass->leaf_start[leaf];
    double count = values_a_channel(layer, pass, leaf);
    if (pictures == 0) {
        return;
    }
    struct sums total = leaf_sums(scratch->sums, pass, leaf, block, blocks);
    ptrdiff_t first = ((ptrdiff_t)leaf * blocks + block) * CHANNEL_BLOCK;
    for (int c = 0; c < CHANNEL_BLOCK; c++) {
        double inverse_deviation = (double)kept->inverse_deviation.value[c];
        double weight_gradient = total.second[c] * inverse_deviation;
        double scale = (double)weight[c] * inverse_deviation;
        turned->scale.value[c] = (float)scale;
        turned->slope.value[c] = (float)(-scale * inverse_deviation * weight_gradient / count);
        turned->shift.value[c] = (float)(-scale * total.first[c] / count);
        scratch->folded[WEIGHT][first + c] = (float)weight_gradient;
        scratch->folded[BIAS][first + c] = (float)total.first[c];
        scratch->folded[RUNNING_MEAN][first + c] = (float)pictures * kept->mean.value[c];
        scratch->folded[RUNNING_VAR][first + c] = (float)pictures * kept->variance.value[c];
    }
}

static void backward_picture(const struct layer *layer, const struct layer_run *run, int n,
    int block, const struct kept *kept, const struct turned *turned) {
    const struct elementwise_kernels *kernels = &run->kernels->elementwise;
    const struct tensor *in = &layer->input[0]->activation;
    size_t count = (size_t)in->shape.width * CHANNEL_BLOCK;
    struct lanes scale;
    struct elementwise_line line =
        forward_line(layer, run, &scale, block, kept->mean.value, kept->inverse_deviation.value);
    struct elementwise_turn turn = {turned->scale.value, turned->slope.value, turned->shift.value};
    for (int h = 0; h < in->shape.height; h++) {
        float *dx = tensor_at(&layer->input[0]->gradient, n, block, h, 0);
        const float *x = tensor_at(in, n, block, h, 0);
        if (layer->rectifies && layer->addend == NULL) {
            kernels->normalise_backward_rectified(
                dx, tensor_at(&layer->result->gradient, n, block, h, 0), x, &line, &turn, count);
        } else {
            kernels->normalise_backward(
                dx, tensor_at(&layer->output[0]->gradient, n, block, h, 0), x, &line, &turn, count);
        }
    }
}

static void backward(
    const struct layer *layer, const struct layer_run *run, const struct pass *pass) {
    int blocks = shape_blocks(layer->input[0]->shape.channels);
    const struct kept *kept = layer->saved;
    struct scratch scratch;
    lay_out_scratch(
        &scratch, run->scratch, (size_t)pass->pictures, (size_t)pass->leaves, (size_t)blocks);
#pragma omp parallel for num_threads(run->threads) schedule(static)
    for (int i = 0; i < pass->pictures * blocks; i++) {
        const struct kept *k = &kept[leaf_of(pass, i / blocks) * blocks + i % blocks];
        measure_gradient(layer, run, &scratch.sums[i], i / blocks, i % blocks, k);
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
        .help = "batch norm: mean 0 and variance 1 by channel over a leaf, then scale and shift",
        .options = batchnorm_options,
        .options_size = sizeof(struct batchnorm_options)},
    .plan = plan,
    .forward = forward,
    .backward = backward,
};
