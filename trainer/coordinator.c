#include "trainer/coordinator.h"

#include <string.h>

/* Steps after which all ranks have the same weights: with train.local_steps not all of them. */
static bool is_joint(const struct recipe *recipe, const struct state *state, int64_t done) {
    return done % recipe->train.local_steps == 0 || done == state->steps;
}

/* Whether something that comes every so many steps or epochs falls on the end of step `done`, or on
 * one since the last joint step, where it could not be. */
static bool falls_on(const struct recipe *recipe, const struct state *state, int64_t done,
    int64_t every_steps, int64_t every_epochs) {
    const int64_t local = recipe->train.local_steps, before = (done - 1) / local * local;
    const int64_t epochs = every_epochs * state->steps_per_epoch;
    bool by_steps = every_steps > 0 && done / every_steps > before / every_steps;
    bool by_epochs = epochs > 0 && done / epochs > before / epochs;
    return done > 0 && is_joint(recipe, state, done) && (by_steps || by_epochs);
}

static bool validation_falls_on(
    const struct recipe *recipe, const struct state *state, int64_t done) {
    return recipe->data.validation != NULL &&
           falls_on(recipe, state, done, recipe->train.validate_every_steps,
               recipe->train.validate_every_epochs);
}

struct decision coordinator_decide(const struct recipe *recipe, const struct state *state) {
    const struct schedule_position position = {.step = state->step,
        .steps = state->steps,
        .steps_per_epoch = state->steps_per_epoch,
        .batch = recipe->train.batch};
    int64_t done = state->step + 1;
    return (struct decision){
        .step = state->step,
        .rate = schedule_rate(&recipe->train.schedule, &state->schedule, &position),
        .joint = is_joint(recipe, state, done),
        .validate = validation_falls_on(recipe, state, done),
        .checkpoint =
            done == state->steps || falls_on(recipe, state, done, recipe->checkpoint.every_steps,
                                        recipe->checkpoint.every_epochs),
    };
}

bool coordinator_observe(
    struct state *state, const struct recipe *recipe, const struct figures *figures) {
    schedule_observe(&state->schedule, &recipe->train.schedule, "loss", figures->loss);
    schedule_observe(&state->schedule, &recipe->train.schedule, "accuracy", figures->accuracy);
    bool by_loss = recipe->train.stop.metric == RECIPE_METRIC_LOSS;
    double value = by_loss ? figures->loss : figures->accuracy;
    bool better =
        state->best_step < 0 || (by_loss ? value < state->best_value : value > state->best_value);
    state->validated = state->step;
    state->since_best = better ? 0 : state->since_best + 1;
    if (better) {
        state->best_value = value;
        state->best_step = state->step;
    }
    return better;
}

bool coordinator_stopped_early(const struct recipe *recipe, const struct state *state) {
    int64_t patience = recipe->train.stop.patience;
    return patience > 0 && state->since_best >= patience;
}

bool coordinator_finished(const struct recipe *recipe, const struct state *state) {
    return state->step >= state->steps || coordinator_stopped_early(recipe, state);
}

bool coordinator_owes_validation(const struct recipe *recipe, const struct state *state) {
    return state->validated != state->step && validation_falls_on(recipe, state, state->step);
}

const char *coordinator_metric_name(const struct recipe *recipe) {
    return recipe->train.stop.metric == RECIPE_METRIC_LOSS ? "loss" : "accuracy";
}

double coordinator_rate(const void *decision) {
    struct decision copy; /* the bytes may lie anywhere */
    memcpy(&copy, decision, sizeof copy);
    return copy.rate;
}
