#include "base/math.h"
#include "schedulers/common.h"

struct polynomial_options {
    struct schedule_common common;
    double power, floor;
    int64_t over_epochs, over_steps;
};

#define FIELD(name) offsetof(struct polynomial_options, name)
static const struct option table[] = {SCHEDULE_COMMON(struct polynomial_options),
    {"power", OPTION_REAL, FIELD(power), .initial = "1", .low = 1e-3, .high = 100,
        .flags = OPTION_CHANGES_BITS, .help = "1 is a straight line"},
    {"floor", OPTION_REAL, FIELD(floor), .initial = "0", .low = 0, .high = 1e6,
        .flags = OPTION_CHANGES_BITS, .help = "the rate it ends with"},
    {"over_epochs", OPTION_INTEGER, FIELD(over_epochs), .initial = "0", .low = 0, .high = 1e9,
        .flags = OPTION_CHANGES_BITS, .help = "epochs until the floor; the whole run if not given"},
    {"over_steps", OPTION_INTEGER, FIELD(over_steps), .initial = "0", .low = 0, .high = 1e12,
        .flags = OPTION_CHANGES_BITS, .help = "steps until the floor (or give over_epochs)"},
    OPTIONS_END};

static status polynomial_check(const void *values) {
    const struct polynomial_options *options = values;
    if (options->over_epochs > 0 && options->over_steps > 0) {
        FAIL(STATUS_USAGE, "give over_epochs or over_steps, not both");
    }
    return schedule_check_floor(options->floor, &options->common);
}

static double polynomial_rate(const void *values, const struct schedule_state *state,
    const struct schedule_position *position) {
    (void)state;
    const struct polynomial_options *options = values;
    double period = schedule_period(options->over_epochs, options->over_steps, position);
    if (period == 0) {
        period = (double)position->steps;
    }
    double left = (period - (double)position->step) / period;
    double share = left > 0 ? math_pow(left, options->power) : 0;
    return options->floor + (options->common.rate - options->floor) * share;
}

const struct schedule_operations schedule_polynomial = {
    .kind = {"polynomial", "Falls to a floor at the end of the run, as a power of what is left",
        table, sizeof(struct polynomial_options)},
    .check = polynomial_check,
    .rate = polynomial_rate,
};
