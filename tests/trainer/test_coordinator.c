#include "support/support.h"
#include "trainer/coordinator.h"

#include <string.h>

#define BASE                                                                                       \
    "model: {input: {channels: 1, height: 8, width: 8}, layers: [linear: {out: 4}]}\n"             \
    "data: {validation: there}\n"

static void parse(struct recipe *recipe, const char *rest) {
    char text[1024];
    snprintf(text, sizeof text, "%s%s", BASE, rest);
    CU_ASSERT_EQUAL_FATAL(recipe_parse(recipe, text, strlen(text), "recipe"), STATUS_OK);
}

static void test_coordinator__cadences_fall_on_ends_of_steps_and_epochs(void) {
    struct recipe recipe;
    parse(&recipe, "train: {batch: 4, leaf: 1, schedule: {constant: {rate: 1}}, "
                   "validate_every_epochs: 2, validate_every_steps: 7}\n"
                   "checkpoint: {every_epochs: 1, every_steps: 4}\n");
    struct state state;
    state_init(&state, 14, 5);
    for (state.step = 0; state.step < 14; state.step++) {
        const struct decision decision = coordinator_decide(&recipe, &state);
        int64_t done = state.step + 1;
        CU_ASSERT_EQUAL(decision.step, state.step);
        CU_ASSERT_EQUAL(decision.rate, 1.0);
        CU_ASSERT_EQUAL(decision.validate, done % 10 == 0 || done % 7 == 0);
        CU_ASSERT_EQUAL(decision.checkpoint, done % 5 == 0 || done % 4 == 0 || done == 14);
    }
    CU_ASSERT_TRUE(coordinator_finished(&recipe, &state));
    recipe_release(&recipe);
}

/* What falls on a step of its own waits for the next joint one, once. */
static void test_coordinator__what_is_due_waits_for_a_joint_step(void) {
    struct recipe recipe;
    parse(&recipe, "train: {batch: 4, leaf: 1, schedule: {constant: {rate: 1}}, "
                   "validate_every_epochs: 1, local_steps: 4}\n"
                   "checkpoint: {every_epochs: 0, every_steps: 3}\n");
    struct state state;
    state_init(&state, 26, 5);
    /* Epochs end after 5, 10, 15, 20 and 25; checkpoints are due after 3, 6, 9, ... */
    const bool validate[] = {[8] = true, [12] = true, [16] = true, [20] = true, [26] = true};
    for (state.step = 0; state.step < 26; state.step++) {
        const struct decision decision = coordinator_decide(&recipe, &state);
        int64_t done = state.step + 1;
        bool joint = done % 4 == 0 || done == 26;
        CU_ASSERT_EQUAL(decision.joint, joint);
        CU_ASSERT_EQUAL(decision.validate, validate[done]);
        CU_ASSERT_EQUAL(decision.checkpoint, joint);
    }
    recipe_release(&recipe);
}

static void test_coordinator__rate_is_that_of_the_schedule(void) {
    struct recipe recipe;
    parse(
        &recipe, "train: {batch: 4, leaf: 1, schedule: {constant: {rate: 1, warmup_steps: 4}}}\n");
    struct state state;
    state_init(&state, 10, 5);
    const double rates[] = {0.25, 0.5, 0.75, 1, 1};
    for (state.step = 0; state.step < 5; state.step++) {
        CU_ASSERT_EQUAL(coordinator_decide(&recipe, &state).rate, rates[state.step]);
    }
    recipe_release(&recipe);
}

static void observe(
    struct state *state, const struct recipe *recipe, double accuracy, double loss, bool best) {
    const struct figures figures = {.pictures = 1, .accuracy = accuracy, .loss = loss};
    state->step++;
    CU_ASSERT_EQUAL(coordinator_observe(state, recipe, &figures), best);
}

static void test_coordinator__stops_when_nothing_gets_better(void) {
    struct recipe recipe;
    parse(&recipe, "train: {batch: 4, leaf: 1, schedule: {constant: {rate: 1}}, "
                   "stop: {patience: 2}}\n");
    struct state state;
    state_init(&state, 100, 5);
    observe(&state, &recipe, 0.5, 1, true);
    observe(&state, &recipe, 0.5, 1, false); /* as good is not better */
    observe(&state, &recipe, 0.6, 9, true);
    CU_ASSERT_EQUAL(state.best_step, 3);
    observe(&state, &recipe, 0.4, 0, false);
    CU_ASSERT_FALSE(coordinator_finished(&recipe, &state));
    observe(&state, &recipe, 0.4, 0, false);
    CU_ASSERT_TRUE(coordinator_finished(&recipe, &state));
    CU_ASSERT_TRUE(coordinator_stopped_early(&recipe, &state));
    recipe_release(&recipe);
}

static void test_coordinator__less_loss_is_better(void) {
    struct recipe recipe;
    parse(&recipe, "train: {batch: 4, leaf: 1, schedule: {constant: {rate: 1}}, "
                   "stop: {metric: loss}}\n");
    struct state state;
    state_init(&state, 100, 5);
    observe(&state, &recipe, 0.5, 1, true);
    observe(&state, &recipe, 0.9, 2, false);
    observe(&state, &recipe, 0.1, 0.5, true);
    CU_ASSERT_STRING_EQUAL(coordinator_metric_name(&recipe), "loss");
    recipe_release(&recipe);
}

static void test_coordinator__a_stopped_run_owes_the_validation_it_left_out(void) {
    struct recipe recipe;
    parse(&recipe, "train: {batch: 4, leaf: 1, schedule: {constant: {rate: 1}}}\n");
    struct state state;
    state_init(&state, 100, 5);
    CU_ASSERT_FALSE(coordinator_owes_validation(&recipe, &state)); /* nothing is due before 5 */
    state.step = 4;
    CU_ASSERT_FALSE(coordinator_owes_validation(&recipe, &state));
    observe(&state, &recipe, 0.5, 1, true);
    CU_ASSERT_FALSE(coordinator_owes_validation(&recipe, &state));
    state.step = 10;
    CU_ASSERT_TRUE(coordinator_owes_validation(&recipe, &state));
    recipe_release(&recipe);
}

TEST_MAIN("coordinator", TEST(test_coordinator__cadences_fall_on_ends_of_steps_and_epochs),
    TEST(test_coordinator__what_is_due_waits_for_a_joint_step),
    TEST(test_coordinator__rate_is_that_of_the_schedule),
    TEST(test_coordinator__stops_when_nothing_gets_better),
    TEST(test_coordinator__less_loss_is_better),
    TEST(test_coordinator__a_stopped_run_owes_the_validation_it_left_out))
