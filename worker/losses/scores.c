#include "worker/losses/scores.h"

#include <string.h>

status scores_plan(const char *loss, struct shape output) {
    if (output.height != 1 || output.width != 1 || output.channels < 2) {
        char text[48];
        FAIL(STATUS_USAGE, "%s needs one number a class (2x1x1 or more), the network ends in %s",
            loss, shape_text(output, text, sizeof text));
    }
    return STATUS_OK;
}

int scores_class(const struct target *target, const struct tensor *output) {
    int number = target->class_number;
    bool known = target->type == TARGET_CLASS && number >= 0 && number < output->shape.channels;
    return known ? number : -1;
}

/* How many classes come before `class_number`: greater outputs, and equal ones of lower number. */
static int rank_of(const float *x, const struct tensor *output, int class_number) {
    float own = x[scores_lane(output, class_number)];
    int before = 0;
    for (int c = 0; c < output->shape.channels; c++) {
        float other = x[scores_lane(output, c)];
        before += other > own || (other == own && c < class_number);
    }
    return before;
}

void scores_correct(
    float *correct, float *correct_5, const struct tensor *output, int n, int class_number) {
    int classes = output->shape.channels;
    int before =
        class_number >= 0 ? rank_of(tensor_at(output, n, 0, 0, 0), output, class_number) : classes;
    *correct = before < 1 ? 1.0f : 0.0f;
    *correct_5 = class_number >= 0 && before < 5 ? 1.0f : 0.0f;
}

void scores_clear(const struct tensor *gradient, int n) {
    for (int b = 0; b < shape_blocks(gradient->shape.channels); b++) {
        memset(tensor_at(gradient, n, b, 0, 0), 0, CHANNEL_BLOCK * sizeof(float));
    }
}
