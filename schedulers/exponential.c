#include "base/math.h"
#include "schedulers/common.h"

struct exponential_options {
    struct schedule_common common;
    double factor;
    int64_t every_epochs, every_steps;
};

#define FIELD(name) offsetof(struct exponential_options, name)
static const struct option table[] = {SCHEDULE_COMMON(struct exponential_options),
    {"factor", OPTION_REAL, FIELD(factor), .initial = "0.95", .low = 1e-6, .high = 1,
        .flags = OPTION_CHANGES_BITS, .help = "what the rate is multiplied by over one period"},
    {"every_epochs", OPTION_INTEGER, FIELD(every_epochs), .initial = "0", .low = 0, .high = 1e9,
        .flags = OPTION_CHANGES_BITS, .help = "the period in epochs; one epoch if none is given"},
    {"every_steps", OPTION_INTEGER, FIELD(every_steps), .initial = "0", .low = 0, .high = 1e12,
        .flags = OPTION_CHANGES_BITS, .help = "the period in steps (or give every_epochs)"},
    OPTIONS_END};

static status exponential_check(const void *values) {
    const struct exponential_options *options = values;
    if (options->every_epochs > 0 && options->every_steps > 0) {
        FAIL(STATUS_USAGE, "give every_epochs or every_steps, not both");
    }
    return STATUS_OK;
}

static double exponential_rate(const void *values, const struct schedule_state *state,
    const struct schedule_position *position) {
    (void)state;
    const struct exponential_options *options = values;
    int64_t epochs = options->every_epochs > 0 ? options->every_epochs : 1;
    double period = schedule_period(epochs, options->every_steps, position);
    return options->common.rate * math_pow(options->factor, (double)position->step / period);
}

const struct schedule_operations schedule_exponential = {
    .kind = {"exponential", "Falls smoothly, by one factor a period", table,
        sizeof(struct exponential_options)},
    .check = exponential_check,
    .rate = exponential_rate,
};
