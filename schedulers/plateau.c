#include "base/math.h"
#include "schedulers/common.h"

#include <string.h>

enum { METRIC_LOSS, METRIC_ACCURACY };
static const char *const metrics[] = {"loss", "accuracy", NULL};

struct plateau_options {
    struct schedule_common common;
    int metric;
    double factor;
    int64_t patience;
    double threshold;
    int64_t cooldown;
    double floor;
};

/* What the numbers of the state are. */
enum { SEEN, BEST, STALE, COOLING, DROPS };

#define FIELD(name) offsetof(struct plateau_options, name)
static const struct option table[] = {SCHEDULE_COMMON(struct plateau_options),
    {"metric", OPTION_NAME, FIELD(metric), .initial = "loss", .flags = OPTION_CHANGES_BITS,
        .help = "what of the validation is watched", .names = metrics},
    {"factor", OPTION_REAL, FIELD(factor), .initial = "0.1", .low = 1e-6, .high = 1,
        .flags = OPTION_CHANGES_BITS, .help = "what the rate is multiplied by at a drop"},
    {"patience", OPTION_INTEGER, FIELD(patience), .initial = "5", .low = 0, .high = 1e9,
        .flags = OPTION_CHANGES_BITS,
        .help = "validations without progress that are borne before a drop"},
    {"threshold", OPTION_REAL, FIELD(threshold), .initial = "0.0001", .low = 0, .high = 1,
        .flags = OPTION_CHANGES_BITS,
        .help = "the least progress that counts, as a share of the best"},
    {"cooldown", OPTION_INTEGER, FIELD(cooldown), .initial = "0", .low = 0, .high = 1e9,
        .flags = OPTION_CHANGES_BITS, .help = "validations after a drop that are not counted"},
    {"floor", OPTION_REAL, FIELD(floor), .initial = "0", .low = 0, .high = 1e6,
        .flags = OPTION_CHANGES_BITS, .help = "the rate never falls below"},
    OPTIONS_END};

static status plateau_check(const void *values) {
    const struct plateau_options *options = values;
    return schedule_check_floor(options->floor, &options->common);
}

static double plateau_rate(const void *values, const struct schedule_state *state,
    const struct schedule_position *position) {
    (void)position;
    const struct plateau_options *options = values;
    double rate = options->common.rate * math_pow(options->factor, state->number[DROPS]);
    return rate > options->floor ? rate : options->floor;
}

static void plateau_observe(
    struct schedule_state *state, const void *values, const char *metric, double value) {
    const struct plateau_options *options = values;
    double *number = state->number;
    if (strcmp(metric, metrics[options->metric]) != 0) {
        return;
    }
    bool better = options->metric == METRIC_LOSS ? value < number[BEST] * (1 - options->threshold)
                                                 : value > number[BEST] * (1 + options->threshold);
    if (number[SEEN] == 0 || better) {
        number[SEEN] = 1;
        number[BEST] = value;
        number[STALE] = 0;
    } else if (number[COOLING] == 0) {
        number[STALE]++;
    }
    if (number[COOLING] > 0) {
        number[COOLING]--;
    } else if (number[STALE] > (double)options->patience) {
        number[DROPS]++;
        number[STALE] = 0;
        number[COOLING] = (double)options->cooldown;
    }
}

const struct schedule_operations schedule_plateau = {
    .kind = {"plateau", "Drops by a factor when the validation makes no more progress", table,
        sizeof(struct plateau_options)},
    .check = plateau_check,
    .rate = plateau_rate,
    .observe = plateau_observe,
};
