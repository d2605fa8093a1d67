/* Hinge loss, one class against the rest: the sum over the classes of max(0, margin - t x), t = 1
 * at the class of the picture and -1 elsewhere (as in Caffe), or of its square (Tang 2013). */
#include "worker/losses/scores.h"

#include <math.h>

struct hinge_options {
    double margin;
    bool squared;
};

static const struct option hinge_options[] = {
    {.name = "margin",
        .type = OPTION_REAL,
        .offset = offsetof(struct hinge_options, margin),
        .initial = "1",
        .low = 0,
        .high = 1e6,
        .flags = OPTION_CHANGES_BITS,
        .help = "how far on its side an output must be to cost nothing"},
    {.name = "squared",
        .type = OPTION_SWITCH,
        .offset = offsetof(struct hinge_options, squared),
        .initial = "false",
        .flags = OPTION_CHANGES_BITS,
        .help = "the squares of what is missing"},
    OPTIONS_END};

static status plan(const void *options, struct shape output) {
    (void)options;
    return scores_plan("hinge", output);
}

static void run(float *loss, float *correct, float *correct_5, const struct tensor *gradient,
    const struct tensor *output, const struct target *targets, int pictures, const void *options) {
    const struct hinge_options *o = options;
    for (int n = 0; n < pictures; n++) {
        int class_number = scores_class(&targets[n], output);
        const float *x = tensor_at(output, n, 0, 0, 0);
        double sum = class_number >= 0 ? 0 : (double)NAN;
        if (gradient != NULL) {
            scores_clear(gradient, n);
        }
        for (int c = 0; c < output->shape.channels; c++) {
            double side = c == class_number ? 1 : -1;
            double missing = o->margin - side * (double)x[scores_lane(output, c)];
            missing = missing < 0 ? 0 : missing; /* what is not a number stays so */
            sum += o->squared ? missing * missing : missing;
            if (gradient != NULL) {
                double slope = o->squared ? 2 * missing : (missing > 0 ? 1 : 0);
                tensor_at(gradient, n, 0, 0, 0)[scores_lane(gradient, c)] = (float)(-side * slope);
            }
        }
        loss[n] = (float)sum;
        scores_correct(&correct[n], &correct_5[n], output, n, class_number);
    }
}

const struct loss_operations loss_hinge = {
    .kind = {.name = "hinge",
        .help = "hinge loss, one class against the rest",
        .options = hinge_options,
        .options_size = sizeof(struct hinge_options)},
    .plan = plan,
    .run = run,
};
