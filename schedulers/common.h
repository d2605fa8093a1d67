/* What schedules share: the base rate, the warm-up, and small helpers. The struct of a schedule's
 * options starts with a struct schedule_common, its table with SCHEDULE_COMMON.
 */
#ifndef SCHEDULERS_COMMON_H
#define SCHEDULERS_COMMON_H

#include "schedulers/schedule.h"

struct schedule_common {
    double rate;
    int64_t warmup_steps;
    int64_t reference_batch; /* 0: the rate is meant for the batch as it is */
};

#define SCHEDULE_COMMON(type)                                                                      \
    {"rate", OPTION_REAL, offsetof(type, common) + offsetof(struct schedule_common, rate),         \
        .low = 0, .high = 1e6, .flags = OPTION_REQUIRED | OPTION_CHANGES_BITS,                     \
        .help = "the highest learning rate"},                                                      \
        {"warmup_steps", OPTION_INTEGER,                                                           \
            offsetof(type, common) + offsetof(struct schedule_common, warmup_steps),               \
            .initial = "0", .low = 0, .high = 1e12, .flags = OPTION_CHANGES_BITS,                  \
            .help = "steps over which the rate rises to the schedule's, from near 0 or, with a "   \
                    "reference_batch, from the rate for that"},                                    \
    {                                                                                              \
        "reference_batch", OPTION_INTEGER,                                                         \
            offsetof(type, common) + offsetof(struct schedule_common, reference_batch),            \
            .initial = "0", .low = 0, .high = 1e7, .flags = OPTION_CHANGES_BITS | OPTION_ADDED,    \
            .help = "the batch that the rates are meant for: they are multiplied by "              \
                    "train.batch / reference_batch (0: by 1)"                                      \
    }

/* A number of steps given in epochs or in steps, whichever is not 0; 0 where both are. */
static inline double schedule_period(
    int64_t epochs, int64_t steps, const struct schedule_position *position) {
    return steps > 0 ? (double)steps : (double)epochs * (double)position->steps_per_epoch;
}

/* A floor above the rate is refused. */
status schedule_check_floor(double floor, const struct schedule_common *common);

extern const struct schedule_operations schedule_constant, schedule_step, schedule_multistep,
    schedule_exponential, schedule_inverse, schedule_polynomial, schedule_cosine,
    schedule_one_cycle, schedule_plateau;

#endif
