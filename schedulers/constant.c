#include "schedulers/common.h"

struct constant_options {
    struct schedule_common common;
};

static const struct option table[] = {SCHEDULE_COMMON(struct constant_options), OPTIONS_END};

static double constant_rate(const void *values, const struct schedule_state *state,
    const struct schedule_position *position) {
    (void)state, (void)position;
    const struct constant_options *options = values;
    return options->common.rate;
}

const struct schedule_operations schedule_constant = {
    .kind = {"constant", "The same rate all the way", table, sizeof(struct constant_options)},
    .rate = constant_rate,
};
