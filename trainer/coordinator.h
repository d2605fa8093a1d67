/* The decisions of rank 0: the rate of a step, whether to validate, checkpoint or stop after it.
 * They travel to the other ranks with the agreement of each step, and after a validation by a
 * broadcast of the state.
 */
#ifndef TRAINER_COORDINATOR_H
#define TRAINER_COORDINATOR_H

#include "trainer/recipe.h"
#include "trainer/state.h"

/* What is decided before a step: plain bytes. */
struct decision {
    int64_t step; /* the step it is for: ranks that drift apart are found here */
    double rate;
    /* After the step: whether all ranks have the same weights, which with train.local_steps are
     * averaged for it; and what can only be done then, and waits for it. */
    bool joint, validate, checkpoint;
};

/* For the step after state->step. */
struct decision coordinator_decide(const struct recipe *recipe, const struct state *state);

/* The rate of a decision, for struct step_options. */
double coordinator_rate(const void *decision);

/* Figures of a validation, the same for any number of ranks. */
struct figures {
    int64_t pictures;
    double loss, accuracy, accuracy_5; /* means; shares of 1 */
};

/* Takes a validation into the state: what the schedule sees of it, and whether it is the best.
 * Returns whether it is. */
bool coordinator_observe(
    struct state *state, const struct recipe *recipe, const struct figures *figures);

/* Whether the run is over: all steps done, or no better validation for too long. */
bool coordinator_finished(const struct recipe *recipe, const struct state *state);
bool coordinator_stopped_early(const struct recipe *recipe, const struct state *state);

/* Whether a validation is due at the step where the state stands and has not been done: after a
 * stop by signal, which does not wait for one. */
bool coordinator_owes_validation(const struct recipe *recipe, const struct state *state);

/* "accuracy" or "loss": the figure that tells which is best. */
const char *coordinator_metric_name(const struct recipe *recipe);

#endif
