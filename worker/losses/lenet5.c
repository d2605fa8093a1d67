/* LeNet-5's loss (LeCun et al. 1998, equation 9): y[class] + log(exp(-j) + sum over i of
 * exp(-y[i])), which pulls the penalty y of the class down and pushes the others up, no further
 * than about j. Our rbf gives x = -y, so that it is -x[class] + log(exp(-j) + sum of exp(x[i])). In
 * double. */
#include "base/math.h"
#include "worker/losses/scores.h"

#include <math.h>

struct lenet5_options {
    double j;
};

static const struct option lenet5_options[] = {
    {.name = "j",
        .type = OPTION_REAL,
        .offset = offsetof(struct lenet5_options, j),
        .initial = "0.1",
        .low = 1e-6,
        .high = 1e6,
        .flags = OPTION_CHANGES_BITS,
        .help = "penalty from which on a wrong class is left alone"},
    OPTIONS_END};

static status plan(const void *options, struct shape output) {
    (void)options;
    return scores_plan("lenet5", output);
}

/* log(exp(-j) + sum of exp(x)), with the largest taken out. */
static double log_sum(const float *x, const struct tensor *output, double j) {
    double most = -j;
    for (int c = 0; c < output->shape.channels; c++) {
        double value = (double)x[scores_lane(output, c)];
        most = value > most ? value : most;
    }
    double sum = math_exp(-j - most);
    for (int c = 0; c < output->shape.channels; c++) {
        sum += math_exp((double)x[scores_lane(output, c)] - most);
    }
    return most + math_log(sum);
}

static void run(float *loss, float *correct, float *correct_5, const struct tensor *gradient,
    const struct tensor *output, const struct target *targets, int pictures, const void *options) {
    double j = ((const struct lenet5_options *)options)->j;
    for (int n = 0; n < pictures; n++) {
        int class_number = scores_class(&targets[n], output);
        const float *x = tensor_at(output, n, 0, 0, 0);
        double log_of_sum = log_sum(x, output, j);
        double own = class_number >= 0 ? (double)x[scores_lane(output, class_number)] : (double)NAN;
        loss[n] = (float)(log_of_sum - own);
        scores_correct(&correct[n], &correct_5[n], output, n, class_number);
        if (gradient == NULL) {
            continue;
        }
        scores_clear(gradient, n);
        for (int c = 0; c < output->shape.channels; c++) {
            double share = math_exp((double)x[scores_lane(output, c)] - log_of_sum);
            tensor_at(gradient, n, 0, 0, 0)[scores_lane(gradient, c)] =
                (float)(share - (c == class_number ? 1.0 : 0.0));
        }
    }
}

const struct loss_operations loss_lenet5 = {
    .kind = {.name = "lenet5",
        .help = "LeNet-5's: the class's penalty down, the others' up; goes with rbf",
        .options = lenet5_options,
        .options_size = sizeof(struct lenet5_options)},
    .plan = plan,
    .run = run,
};
