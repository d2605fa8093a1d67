#include "base/math.h"
#include "schedulers/common.h"

/* Smith and Topin, "Super-convergence: very fast training of neural networks using large learning
 * rates", 2018. */
enum { SHAPE_COSINE, SHAPE_LINEAR };
static const char *const shapes[] = {"cosine", "linear", NULL};

struct one_cycle_options {
    struct schedule_common common;
    double peak, start_factor, end_factor;
    int shape;
};

#define FIELD(name) offsetof(struct one_cycle_options, name)
static const struct option table[] = {SCHEDULE_COMMON(struct one_cycle_options),
    {"peak", OPTION_REAL, FIELD(peak), .initial = "0.3", .low = 0, .high = 1,
        .flags = OPTION_CHANGES_BITS,
        .help = "the share of the run after which the rate is reached"},
    {"start_factor", OPTION_REAL, FIELD(start_factor), .initial = "0.04", .low = 0, .high = 1,
        .flags = OPTION_CHANGES_BITS, .help = "the rate at the start, as a share of the highest"},
    {"end_factor", OPTION_REAL, FIELD(end_factor), .initial = "4e-06", .low = 0, .high = 1,
        .flags = OPTION_CHANGES_BITS, .help = "the rate at the end, as a share of the highest"},
    {"shape", OPTION_NAME, FIELD(shape), .initial = "cosine", .flags = OPTION_CHANGES_BITS,
        .help = "of the way up and down", .names = shapes},
    OPTIONS_END};

static double one_cycle_rate(const void *values, const struct schedule_state *state,
    const struct schedule_position *position) {
    (void)state;
    const struct one_cycle_options *options = values;
    double steps = (double)position->steps, step = (double)position->step;
    double top = options->peak * steps; /* where the two ways meet */
    double from = options->start_factor, to = 1, share;
    if (step < top) {
        share = step / top;
    } else {
        from = 1;
        to = options->end_factor;
        share = step < steps ? (step - top) / (steps - top) : 1;
    }
    if (options->shape == SHAPE_COSINE) {
        share = (1 - math_cos(MATH_PI * share)) / 2;
    }
    return options->common.rate * (from + (to - from) * share);
}

const struct schedule_operations schedule_one_cycle = {
    .kind = {"one_cycle", "Up to a high rate and down to nearly nothing, once", table,
        sizeof(struct one_cycle_options)},
    .rate = one_cycle_rate,
};
