#include "base/math.h"
#include "schedulers/common.h"

struct multistep_options {
    struct schedule_common common;
    struct option_reals epochs, steps;
    double factor;
};

#define FIELD(name) offsetof(struct multistep_options, name)
static const struct option table[] = {SCHEDULE_COMMON(struct multistep_options),
    {"epochs", OPTION_REALS, FIELD(epochs), .low = 0, .high = 1e9, .flags = OPTION_CHANGES_BITS,
        .help = "after how many epochs the rate drops, rising (or give steps)"},
    {"steps", OPTION_REALS, FIELD(steps), .low = 0, .high = 1e12, .flags = OPTION_CHANGES_BITS,
        .help = "after how many steps the rate drops, rising (or give epochs)"},
    {"factor", OPTION_REAL, FIELD(factor), .initial = "0.1", .low = 1e-6, .high = 1,
        .flags = OPTION_CHANGES_BITS, .help = "what the rate is multiplied by at a drop"},
    OPTIONS_END};

static status multistep_check(const void *values) {
    const struct multistep_options *options = values;
    if ((options->epochs.count > 0) == (options->steps.count > 0)) {
        FAIL(STATUS_USAGE, "give either epochs or steps");
    }
    const struct option_reals *places =
        options->epochs.count > 0 ? &options->epochs : &options->steps;
    for (int i = 1; i < places->count; i++) {
        if (places->values[i] <= places->values[i - 1]) {
            FAIL(STATUS_USAGE, "the drops must rise: %g does not follow %g", places->values[i],
                places->values[i - 1]);
        }
    }
    return STATUS_OK;
}

static double multistep_rate(const void *values, const struct schedule_state *state,
    const struct schedule_position *position) {
    (void)state;
    const struct multistep_options *options = values;
    int drops = 0;
    for (int i = 0; i < options->epochs.count; i++) {
        drops +=
            options->epochs.values[i] * (double)position->steps_per_epoch <= (double)position->step;
    }
    for (int i = 0; i < options->steps.count; i++) {
        drops += options->steps.values[i] <= (double)position->step;
    }
    return options->common.rate * math_pow(options->factor, drops);
}

const struct schedule_operations schedule_multistep = {
    .kind = {"multistep", "Drops by a factor at given epochs or steps", table,
        sizeof(struct multistep_options)},
    .check = multistep_check,
    .rate = multistep_rate,
};
