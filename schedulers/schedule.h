/* Learning-rate schedules: one file each in schedulers/, registered in schedulers/list.c.
 *
 * A schedule is a pure function from a step to a rate. Only `plateau` looks at a validation metric;
 * what it remembers lies in a small state that goes into the checkpoint as text. All arithmetic is
 * base/math.h in double: the same rate on every machine.
 */
#ifndef SCHEDULERS_SCHEDULE_H
#define SCHEDULERS_SCHEDULE_H

#include "base/options.h"

#include <stdint.h>

/* Where a run stands. */
struct schedule_position {
    int64_t step;  /* training steps done, from 0 */
    int64_t steps; /* of the whole run */
    int64_t steps_per_epoch;
    int64_t batch; /* pictures of a full step */
};

#define SCHEDULE_STATE_NUMBERS 8
struct schedule_state {
    double number[SCHEDULE_STATE_NUMBERS]; /* meaning is the schedule's own; all 0 at first */
};

struct schedule_operations {
    struct kind kind;
    /* Checks what ranges cannot (milestones rise, ...). NULL: nothing to check. */
    status (*check)(const void *options);
    double (*rate)(const void *options, const struct schedule_state *state,
        const struct schedule_position *position);
    /* Told after each validation; NULL for pure schedules. `metric` by name: "loss", "accuracy". */
    void (*observe)(
        struct schedule_state *state, const void *options, const char *metric, double value);
};

extern const struct kind *const schedules[]; /* NULL-terminated */

/* What the rates are multiplied by: batch / reference_batch, or 1 without one (the linear scaling
 * rule of Goyal et al., "Accurate, large minibatch SGD", 2017). */
double schedule_scale(const struct choice *schedule, int64_t batch);

/* The rate of the next step: the schedule's, scaled. Below warmup_steps it rises in equal parts,
 * from near 0 or, with a reference_batch, from the rate for that (their gradual warm-up; a batch
 * below the reference needs none). Every schedule takes both options. */
double schedule_rate(const struct choice *schedule, const struct schedule_state *state,
    const struct schedule_position *position);
status schedule_check(const struct choice *schedule);
void schedule_observe(
    struct schedule_state *state, const struct choice *schedule, const char *metric, double value);

/* State as text (hexadecimal floats, exact) and back. */
void schedule_state_text(char *text, size_t size, const struct schedule_state *state);
status schedule_state_parse(struct schedule_state *state, const char *text);

#endif
