#include "support/support.h"

#include "worker/activity.h"

#include <string.h>

#define SPANS 8

struct seen {
    int count;
    struct activity_now span[SPANS];
    double until[SPANS];
};

static void remember(void *context, const struct activity_now *span, double until) {
    struct seen *seen = context;
    if (seen->count < SPANS) {
        seen->span[seen->count] = *span;
        seen->until[seen->count++] = until;
    }
}

static void test_activity__phases_nest_and_are_shown_when_they_end(void) {
    struct seen seen = {0};
    const struct activity_viewer viewer = {.span = remember, .context = &seen};
    struct activity activity;
    activity_init(&activity);
    activity_set_viewer(&activity, &viewer);
    activity_set_step(&activity, 7);
    const struct activity_now other = activity_enter(&activity, ACTIVITY_CHECKPOINT, -1);
    const struct activity_now outer = activity_enter(&activity, ACTIVITY_EXCHANGE, 3);
    CU_ASSERT_EQUAL(activity_get(&activity).phase, ACTIVITY_EXCHANGE);
    activity_set_detail(&activity, 3); /* no other bucket: the wait goes on */
    CU_ASSERT_EQUAL(seen.count, 0);
    activity_set_detail(&activity, 4);
    CU_ASSERT_EQUAL(activity_get(&activity).detail, 4);
    activity_leave(&activity, outer);
    CU_ASSERT_EQUAL(activity_get(&activity).phase, ACTIVITY_CHECKPOINT);
    CU_ASSERT_EQUAL(activity_get(&activity).since, outer.since);
    activity_span(&activity, ACTIVITY_BUCKET, 9, outer.since);
    activity_leave(&activity, other);
    CU_ASSERT_EQUAL_FATAL(seen.count, 4);
    static const struct {
        enum activity_phase phase;
        int64_t detail;
    } expected[] = {{ACTIVITY_EXCHANGE, 3}, {ACTIVITY_EXCHANGE, 4}, {ACTIVITY_BUCKET, 9},
        {ACTIVITY_CHECKPOINT, -1}};
    for (int i = 0; i < 4; i++) {
        CU_ASSERT_EQUAL(seen.span[i].phase, expected[i].phase);
        CU_ASSERT_EQUAL(seen.span[i].detail, expected[i].detail);
        CU_ASSERT_EQUAL(seen.span[i].step, 7);
        CU_ASSERT(seen.until[i] >= seen.span[i].since);
    }
    CU_ASSERT_EQUAL(seen.until[0], seen.span[1].since);
    activity_release(&activity);
}

static void test_activity__where_nobody_looks_nothing_is_done(void) {
    activity_set_step(NULL, 1);
    activity_leave(NULL, activity_enter(NULL, ACTIVITY_FORWARD, -1));
    activity_set_detail(NULL, 2);
    activity_span(NULL, ACTIVITY_BUCKET, 1, 0);
}

static void test_activity__waits_for_other_ranks_are_told_apart_from_work(void) {
    int waits = 0;
    for (int p = 0; p < ACTIVITY_PHASES; p++) {
        CU_ASSERT(strlen(activity_name((enum activity_phase)p)) > 0);
        waits += activity_is_wait((enum activity_phase)p);
    }
    CU_ASSERT_EQUAL(waits, 4);
    CU_ASSERT(!activity_is_wait(ACTIVITY_INPUT)); /* the rank's own fault */
    CU_ASSERT(!activity_is_wait(ACTIVITY_STAGING));
    CU_ASSERT(!activity_is_limited(ACTIVITY_STAGING));
    CU_ASSERT(!activity_is_limited(ACTIVITY_COPIES)); /* is told of, and ends no job */
    CU_ASSERT(activity_is_limited(ACTIVITY_AGREEMENT));
}

TEST_MAIN("activity", TEST(test_activity__phases_nest_and_are_shown_when_they_end),
    TEST(test_activity__where_nobody_looks_nothing_is_done),
    TEST(test_activity__waits_for_other_ranks_are_told_apart_from_work))
