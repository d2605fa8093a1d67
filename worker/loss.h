/* Losses: one file each in worker/losses/, registered in worker/losses/list.c. */
#ifndef WORKER_LOSS_H
#define WORKER_LOSS_H

#include "base/options.h"
#include "base/shape.h"
#include "base/target.h"
#include "worker/pass.h"
#include "worker/tensor.h"

struct loss_operations {
    struct kind kind;
    /* Checks the net's output shape (and, with classes > 0, the data set's class count). */
    status (*plan)(const void *options, struct shape output);
    /* Per picture: loss[n], correct[n] and correct_5[n] (0 or 1; top 1 and top 5), and where
     * `gradient` is not NULL the derivative of the *sum* of losses by the output, with border and
     * padding lanes zero. Pictures are independent of each other. */
    void (*run)(float *loss, float *correct, float *correct_5, const struct tensor *gradient,
        const struct tensor *output, const struct target *targets, int pictures,
        const void *options);
};

extern const struct kind *const losses[]; /* NULL-terminated */

#endif
