/* Cross entropy of the softmax of the outputs with the class: -log p[class], in double. With label
 * smoothing s the target is 1 - s + s / K at the class and s / K elsewhere (Szegedy et al. 2015).
 */
#include "base/math.h"
#include "worker/losses/scores.h"

#include <math.h>

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
    return scores_plan("cross_entropy", output);
}

/* log of the sum of exp(x), with the largest taken out. */
static double log_sum(const float *x, const struct tensor *output) {
    double most = (double)x[0], sum = 0;
    for (int c = 1; c < output->shape.channels; c++) {
        double value = (double)x[scores_lane(output, c)];
        most = value > most ? value : most;
    }
    for (int c = 0; c < output->shape.channels; c++) {
        sum += math_exp((double)x[scores_lane(output, c)] - most);
    }
    return most + math_log(sum);
}

static void write_gradient(const struct tensor *gradient, const struct tensor *output, int n,
    double log_of_sum, int class_number, double smoothing) {
    const float *x = tensor_at(output, n, 0, 0, 0);
    float *dx = tensor_at(gradient, n, 0, 0, 0);
    int classes = output->shape.channels;
    scores_clear(gradient, n);
    for (int c = 0; c < classes; c++) {
        double target = smoothing / classes + (c == class_number ? 1.0 - smoothing : 0.0);
        dx[scores_lane(gradient, c)] =
            (float)(math_exp((double)x[scores_lane(output, c)] - log_of_sum) - target);
    }
}

static void run(float *loss, float *correct, float *correct_5, const struct tensor *gradient,
    const struct tensor *output, const struct target *targets, int pictures, const void *options) {
    double smoothing = ((const struct cross_entropy_options *)options)->smoothing;
    int classes = output->shape.channels;
    for (int n = 0; n < pictures; n++) {
        const float *x = tensor_at(output, n, 0, 0, 0);
        int class_number = scores_class(&targets[n], output);
        double log_of_sum = log_sum(x, output), sum = 0;
        for (int c = 0; c < classes; c++) {
            sum += (double)x[scores_lane(output, c)] - log_of_sum;
        }
        double own = class_number >= 0 ? (double)x[scores_lane(output, class_number)] - log_of_sum
                                       : (double)NAN;
        loss[n] = (float)-((1.0 - smoothing) * own + smoothing / classes * sum);
        scores_correct(&correct[n], &correct_5[n], output, n, class_number);
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
