/* Cross entropy of the softmax of the outputs with the class: -log p[class], in double. With label
 * smoothing s the target is 1 - s + s / K at the class and s / K elsewhere (Szegedy et al. 2015).
 */
#include "base/math.h"
#include "worker/loss.h"

#include <math.h>
#include <string.h>

struct cross_entropy_options {
    double smoothing;
};

static const struct option cross_entropy_options[] = {
    {.name = "smoothing",
        .type = OPTION_REAL,
        .offset = offsetof(struct cross_entropy_options, smoothing),
        .initial = "0",
        .low = 0,
        .high = 0.999,
        .flags = OPTION_CHANGES_BITS,
        .help = "label smoothing: share of the target spread over all classes"},
    OPTIONS_END};

static status plan(const void *options, struct shape output) {
    (void)options;
    if (output.height != 1 || output.width != 1 || output.channels < 2) {
        char text[48];
        FAIL(STATUS_USAGE,
            "cross_entropy needs one number a class (2x1x1 or more), the network ends in %s",
            shape_text(output, text, sizeof text));
    }
    return STATUS_OK;
}

static ptrdiff_t lane(const struct tensor *tensor, int c) {
    return c / CHANNEL_BLOCK * tensor->block_stride + c % CHANNEL_BLOCK;
}

/* How many classes come before `class_number`: greater outputs, and equal ones of lower number. */
static int rank_of(const float *x, const struct tensor *output, int class_number) {
    float own = x[lane(output, class_number)];
    int before = 0;
    for (int c = 0; c < output->shape.channels; c++) {
        float other = x[lane(output, c)];
        before += other > own || (other == own && c < class_number);
    }
    return before;
}

/* log of the sum of exp(x), with the largest taken out. */
static double log_sum(const float *x, const struct tensor *output) {
    double most = (double)x[0], sum = 0;
    for (int c = 1; c < output->shape.channels; c++) {
        double value = (double)x[lane(output, c)];
        most = value > most ? value : most;
    }
    for (int c = 0; c < output->shape.channels; c++) {
        sum += math_exp((double)x[lane(output, c)] - most);
    }
    return most + math_log(sum);
}

static void write_gradient(const struct tensor *gradient, const struct tensor *output, int n,
    double log_of_sum, int class_number, double smoothing) {
    const float *x = tensor_at(output, n, 0, 0, 0);
    float *dx = tensor_at(gradient, n, 0, 0, 0);
    int classes = output->shape.channels;
    for (int b = 0; b < shape_blocks(classes); b++) {
        memset(tensor_at(gradient, n, b, 0, 0), 0, CHANNEL_BLOCK * sizeof(float));
    }
    for (int c = 0; c < classes; c++) {
        double target = smoothing / classes + (c == class_number ? 1.0 - smoothing : 0.0);
        dx[lane(gradient, c)] = (float)(math_exp((double)x[lane(output, c)] - log_of_sum) - target);
    }
}

static void run(float *loss, float *correct, float *correct_5, const struct tensor *gradient,
    const struct tensor *output, const struct target *targets, int pictures, const void *options) {
    double smoothing = ((const struct cross_entropy_options *)options)->smoothing;
    int classes = output->shape.channels;
    for (int n = 0; n < pictures; n++) {
        const float *x = tensor_at(output, n, 0, 0, 0);
        int class_number = targets[n].class_number;
        bool known = targets[n].type == TARGET_CLASS && class_number >= 0 && class_number < classes;
        double log_of_sum = log_sum(x, output), sum = 0;
        for (int c = 0; c < classes; c++) {
            sum += (double)x[lane(output, c)] - log_of_sum;
        }
        /* A class that the net does not know is our caller's mistake; it must not pass for a loss.
         */
        double own = known ? (double)x[lane(output, class_number)] - log_of_sum : (double)NAN;
        loss[n] = (float)-((1.0 - smoothing) * own + smoothing / classes * sum);
        int before = known ? rank_of(x, output, class_number) : classes;
        correct[n] = before < 1 ? 1.0f : 0.0f;
        correct_5[n] = before < 5 ? 1.0f : 0.0f;
        if (gradient != NULL) {
            write_gradient(gradient, output, n, log_of_sum, class_number, smoothing);
        }
    }
}

const struct loss_operations loss_cross_entropy = {
    .kind = {.name = "cross_entropy",
        .help = "cross entropy of the softmax of the outputs with the class",
        .options = cross_entropy_options,
        .options_size = sizeof(struct cross_entropy_options)},
    .plan = plan,
    .run = run,
};
