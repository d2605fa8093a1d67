#include "schedulers/schedule.h"

#include "schedulers/common.h"

#include <math.h>
#include <stdlib.h>

static const struct schedule_operations *operations_of(const struct choice *schedule) {
    return (const struct schedule_operations *)schedule->kind; /* its first member */
}

double schedule_scale(const struct choice *schedule, int64_t batch) {
    const struct schedule_common *common = schedule->values;
    return common->reference_batch > 0 ? (double)batch / (double)common->reference_batch : 1;
}

/* The share of the rate that the warm-up lets through. */
static double warmup_share(const struct schedule_common *common, double scale, int64_t step) {
    if (step >= common->warmup_steps) {
        return 1;
    }
    double first = common->reference_batch == 0 ? 0 : scale > 1 ? 1 / scale : 1;
    return first + (1 - first) * ((double)(step + 1) / (double)common->warmup_steps);
}

double schedule_rate(const struct choice *schedule, const struct schedule_state *state,
    const struct schedule_position *position) {
    const struct schedule_common *common = schedule->values;
    double scale = schedule_scale(schedule, position->batch);
    return operations_of(schedule)->rate(schedule->values, state, position) *
           warmup_share(common, scale, position->step) * scale;
}

status schedule_check(const struct choice *schedule) {
    const struct schedule_operations *operations = operations_of(schedule);
    if (operations->check != NULL) {
        status result = operations->check(schedule->values);
        if (result != STATUS_OK) {
            status_prefix(result, "%s", schedule->kind->name);
            if (schedule->node != NULL) {
                char place[512];
                status_prefix(result, "%s", node_place(schedule->node, place, sizeof place));
            }
            return result;
        }
    }
    return STATUS_OK;
}

status schedule_check_floor(double floor, const struct schedule_common *common) {
    if (floor > common->rate) {
        FAIL(STATUS_USAGE, "the floor %g is above the rate %g", floor, common->rate);
    }
    return STATUS_OK;
}

void schedule_observe(
    struct schedule_state *state, const struct choice *schedule, const char *metric, double value) {
    const struct schedule_operations *operations = operations_of(schedule);
    if (operations->observe != NULL) {
        operations->observe(state, schedule->values, metric, value);
    }
}

void schedule_state_text(char *text, size_t size, const struct schedule_state *state) {
    size_t used = 0;
    text[0] = '\0';
    for (int i = 0; i < SCHEDULE_STATE_NUMBERS && used < size; i++) {
        used +=
            (size_t)snprintf(text + used, size - used, "%s%a", i > 0 ? " " : "", state->number[i]);
    }
}

status schedule_state_parse(struct schedule_state *state, const char *text) {
    struct schedule_state read;
    const char *at = text;
    for (int i = 0; i < SCHEDULE_STATE_NUMBERS; i++) {
        char *end;
        read.number[i] = strtod(at, &end);
        if (end == at || !isfinite(read.number[i])) {
            FAIL(STATUS_INPUT, "\"%.200s\" is no state of a schedule: number %d of %d is missing",
                text, i + 1, SCHEDULE_STATE_NUMBERS);
        }
        at = end;
    }
    if (*at != '\0') {
        FAIL(STATUS_INPUT, "\"%.200s\" is no state of a schedule: more than %d numbers", text,
            SCHEDULE_STATE_NUMBERS);
    }
    *state = read;
    return STATUS_OK;
}
