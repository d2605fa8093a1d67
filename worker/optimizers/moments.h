/* The two moments of a gradient and the direction they give (Kingma and Ba, "Adam", 2015), which
 * adamw and lamb share:
 *
 *     m = beta1 * m + (1 - beta1) * g;  v = beta2 * v + (1 - beta2) * g^2
 *     direction = (m / (1 - beta1^t)) / (sqrt(v / (1 - beta2^t)) + eps)
 *
 * in step t = 1, 2, ... All in plain operations, so that the same bits come out of any vector code.
 */
#ifndef WORKER_OPTIMIZERS_MOMENTS_H
#define WORKER_OPTIMIZERS_MOMENTS_H

#include "base/math.h"
#include "worker/optimizers/common.h"

#include <math.h>

struct moments_options {
    double beta1, beta2, eps;
};

#define MOMENTS_OPTIONS(values, member, eps_)                                                      \
    OPTIMIZER_REAL(values, member.beta1, "beta1", "0.9", 0, 0.999999,                              \
        "share of the average of gradients that stays"),                                           \
        OPTIMIZER_REAL(values, member.beta2, "beta2", "0.999", 0, 0.999999,                        \
            "share of the average of their squares that stays"),                                   \
        OPTIMIZER_REAL(values, member.eps, "eps", eps_, 1e-15, 1,                                  \
            "added to the root of the average of squares")

#define MOMENTS_VECTORS 2
static const char *const moments_names[MOMENTS_VECTORS] = {"exp_avg", "exp_avg_sq"};

/* The constants of a step, worked out in double. */
struct moments {
    float stays1, comes1, stays2, comes2, eps;
    float undo1, undo2; /* the bias of averages that began at 0: of m, of the root of v */
};

static inline struct moments moments_of(
    const struct moments_options *options, const struct optimizer_step *step) {
    double t = (double)step->step + 1;
    return (struct moments){
        .stays1 = (float)options->beta1,
        .comes1 = (float)(1 - options->beta1),
        .stays2 = (float)options->beta2,
        .comes2 = (float)(1 - options->beta2),
        .eps = (float)options->eps,
        .undo1 = (float)(1 / (1 - math_pow(options->beta1, t))),
        .undo2 = (float)(1 / sqrt(1 - math_pow(options->beta2, t))),
    };
}

static inline void moments_move(float *m, float *v, float gradient, const struct moments *c) {
    *m = c->stays1 * *m + c->comes1 * gradient;
    *v = c->stays2 * *v + c->comes2 * gradient * gradient;
}

static inline float moments_direction(float m, float v, const struct moments *c) {
    return m * c->undo1 / (sqrtf(v) * c->undo2 + c->eps);
}

#endif
