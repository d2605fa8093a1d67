#include "base/math.h"
#include "schedulers/common.h"

struct inverse_options {
    struct schedule_common common;
    double gamma, power;
};

#define FIELD(name) offsetof(struct inverse_options, name)
static const struct option table[] = {SCHEDULE_COMMON(struct inverse_options),
    {"gamma", OPTION_REAL, FIELD(gamma), .initial = "0.0001", .low = 0, .high = 1e6,
        .flags = OPTION_CHANGES_BITS, .help = "how fast: rate * (1 + gamma * step) ^ -power"},
    {"power", OPTION_REAL, FIELD(power), .initial = "0.75", .low = 0, .high = 100,
        .flags = OPTION_CHANGES_BITS, .help = "how steep"},
    OPTIONS_END};

static double inverse_rate(const void *values, const struct schedule_state *state,
    const struct schedule_position *position) {
    (void)state;
    const struct inverse_options *options = values;
    return options->common.rate *
           math_pow(1 + options->gamma * (double)position->step, -options->power);
}

const struct schedule_operations schedule_inverse = {
    .kind = {"inverse", "Falls as a power of the step (`inv` of Caffe)", table,
        sizeof(struct inverse_options)},
    .rate = inverse_rate,
};
