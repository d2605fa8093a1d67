/* What the losses over one number a class share: the greatest is the net's answer. */
#ifndef WORKER_LOSSES_SCORES_H
#define WORKER_LOSSES_SCORES_H

#include "worker/loss.h"

/* Fails unless the net ends in one number a class, two or more; `loss` is who asks. */
status scores_plan(const char *loss, struct shape output);

/* The lane of class c, counted from that of class 0. */
static inline ptrdiff_t scores_lane(const struct tensor *tensor, int c) {
    return c / CHANNEL_BLOCK * tensor->block_stride + c % CHANNEL_BLOCK;
}

/* The number of the class, or -1 where the net does not know it: our caller's mistake, which must
 * not pass for a loss. */
int scores_class(const struct target *target, const struct tensor *output);

/* Sets *correct and *correct_5 of picture n: of equal scores the lower class comes first. */
void scores_correct(
    float *correct, float *correct_5, const struct tensor *output, int n, int class_number);

/* Zeroes the lanes of picture n. */
void scores_clear(const struct tensor *gradient, int n);

#endif
