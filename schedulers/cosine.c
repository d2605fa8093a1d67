#include "base/math.h"
#include "schedulers/common.h"

/* Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts", ICLR 2017. */
struct cosine_options {
    struct schedule_common common;
    double floor;
    int64_t restart_epochs, restart_steps, restart_factor;
};

#define FIELD(name) offsetof(struct cosine_options, name)
static const struct option table[] = {SCHEDULE_COMMON(struct cosine_options),
    {"floor", OPTION_REAL, FIELD(floor), .initial = "0", .low = 0, .high = 1e6,
        .flags = OPTION_CHANGES_BITS, .help = "the rate it falls to"},
    {"restart_epochs", OPTION_INTEGER, FIELD(restart_epochs), .initial = "0", .low = 0, .high = 1e9,
        .flags = OPTION_CHANGES_BITS,
        .help = "epochs of the first period; the whole run, without restarts, if not given"},
    {"restart_steps", OPTION_INTEGER, FIELD(restart_steps), .initial = "0", .low = 0, .high = 1e12,
        .flags = OPTION_CHANGES_BITS, .help = "the same in steps (or give restart_epochs)"},
    {"restart_factor", OPTION_INTEGER, FIELD(restart_factor), .initial = "1", .low = 1, .high = 16,
        .flags = OPTION_CHANGES_BITS, .help = "how many times longer than the last a period is"},
    OPTIONS_END};

static status cosine_check(const void *values) {
    const struct cosine_options *options = values;
    if (options->restart_epochs > 0 && options->restart_steps > 0) {
        FAIL(STATUS_USAGE, "give restart_epochs or restart_steps, not both");
    }
    if (options->restart_factor > 1 && options->restart_epochs == 0 &&
        options->restart_steps == 0) {
        FAIL(STATUS_USAGE, "restart_factor without restart_epochs or restart_steps");
    }
    return schedule_check_floor(options->floor, &options->common);
}

static double cosine_rate(const void *values, const struct schedule_state *state,
    const struct schedule_position *position) {
    (void)state;
    const struct cosine_options *options = values;
    double period = schedule_period(options->restart_epochs, options->restart_steps, position);
    double step = (double)position->step;
    if (period == 0) {
        period = (double)position->steps;
    } else if (options->restart_factor == 1) {
        step = (double)(position->step % (int64_t)period);
    } else {
        while (step >= period) {
            step -= period;
            period *= (double)options->restart_factor;
        }
    }
    double share = step < period ? (1 + math_cos(MATH_PI * (step / period))) / 2 : 0;
    return options->floor + (options->common.rate - options->floor) * share;
}

const struct schedule_operations schedule_cosine = {
    .kind = {"cosine", "Falls as half a cosine wave, once or with restarts", table,
        sizeof(struct cosine_options)},
    .check = cosine_check,
    .rate = cosine_rate,
};
