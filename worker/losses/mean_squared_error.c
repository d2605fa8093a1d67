/* Mean over the classes of the squared difference from a target: one value at the class of the
 * picture, another elsewhere. */
#include "worker/losses/scores.h"

#include <math.h>

struct mean_squared_error_options {
    double target, other;
};

#define VALUE(field, initial_, help_)                                                              \
    {                                                                                              \
        .name = #field, .type = OPTION_REAL,                                                       \
        .offset = offsetof(struct mean_squared_error_options, field), .initial = initial_,         \
        .low = -1e6, .high = 1e6, .flags = OPTION_CHANGES_BITS, .help = help_                      \
    }
static const struct option mean_squared_error_options[] = {
    VALUE(target, "1", "what the output of the picture's class shall be"),
    VALUE(other, "0", "what the other outputs shall be"), OPTIONS_END};

static status plan(const void *options, struct shape output) {
    (void)options;
    return scores_plan("mean_squared_error", output);
}

static void run(float *loss, float *correct, float *correct_5, const struct tensor *gradient,
    const struct tensor *output, const struct target *targets, int pictures, const void *options) {
    const struct mean_squared_error_options *o = options;
    int classes = output->shape.channels;
    for (int n = 0; n < pictures; n++) {
        int class_number = scores_class(&targets[n], output);
        const float *x = tensor_at(output, n, 0, 0, 0);
        double sum = class_number >= 0 ? 0 : (double)NAN;
        if (gradient != NULL) {
            scores_clear(gradient, n);
        }
        for (int c = 0; c < classes; c++) {
            double away =
                (double)x[scores_lane(output, c)] - (c == class_number ? o->target : o->other);
            sum += away * away;
            if (gradient != NULL) {
                tensor_at(gradient, n, 0, 0, 0)[scores_lane(gradient, c)] =
                    (float)(2 * away / classes);
            }
        }
        loss[n] = (float)(sum / classes);
        scores_correct(&correct[n], &correct_5[n], output, n, class_number);
    }
}

const struct loss_operations loss_mean_squared_error = {
    .kind = {.name = "mean_squared_error",
        .help = "mean squared difference from one value at the class and another elsewhere",
        .options = mean_squared_error_options,
        .options_size = sizeof(struct mean_squared_error_options)},
    .plan = plan,
    .run = run,
};
