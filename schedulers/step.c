#include "base/math.h"
#include "schedulers/common.h"

struct step_options {
    struct schedule_common common;
    int64_t every_epochs, every_steps;
    double factor;
};

#define FIELD(name) offsetof(struct step_options, name)
static const struct option table[] = {SCHEDULE_COMMON(struct step_options),
    {"every_epochs", OPTION_INTEGER, FIELD(every_epochs), .initial = "0", .low = 0, .high = 1e9,
        .flags = OPTION_CHANGES_BITS, .help = "epochs between two drops (or give every_steps)"},
    {"every_steps", OPTION_INTEGER, FIELD(every_steps), .initial = "0", .low = 0, .high = 1e12,
        .flags = OPTION_CHANGES_BITS, .help = "steps between two drops (or give every_epochs)"},
    {"factor", OPTION_REAL, FIELD(factor), .initial = "0.1", .low = 1e-6, .high = 1,
        .flags = OPTION_CHANGES_BITS, .help = "what the rate is multiplied by at a drop"},
    OPTIONS_END};

static status step_check(const void *values) {
    const struct step_options *options = values;
    if ((options->every_epochs > 0) == (options->every_steps > 0)) {
        FAIL(STATUS_USAGE, "give either every_epochs or every_steps");
    }
    return STATUS_OK;
}

static double step_rate(const void *values, const struct schedule_state *state,
    const struct schedule_position *position) {
    (void)state;
    const struct step_options *options = values;
    int64_t drops = options->every_steps > 0
                        ? position->step / options->every_steps
                        : position->step / position->steps_per_epoch / options->every_epochs;
    return options->common.rate * math_pow(options->factor, (double)drops);
}

const struct schedule_operations schedule_step = {
    .kind = {"step", "Drops by a factor again and again", table, sizeof(struct step_options)},
    .check = step_check,
    .rate = step_rate,
};
