#include "support/support.h"

#include "trainer/watch/heart.h"

#include <stdlib.h>
#include <string.h>

#define RANKS   5000
#define SECONDS 10.0

/* A whole job in one process: time goes by in tenths of a beat, each rank's beats at a moment of
 * its own, messages arrive at once or never. */
struct job {
    int ranks;
    double now;
    struct heart *heart;
    struct activity_now *activity;
    double *next;
    bool *alive;
    int64_t messages;
};

static void job_init(struct job *job, int ranks) {
    *job = (struct job){.ranks = ranks, .now = 1000};
    job->heart = calloc((size_t)ranks, sizeof *job->heart);
    job->activity = calloc((size_t)ranks, sizeof *job->activity);
    job->next = calloc((size_t)ranks, sizeof *job->next);
    job->alive = calloc((size_t)ranks, sizeof *job->alive);
    for (int r = 0; r < ranks; r++) {
        heart_init(&job->heart[r], r, ranks, job->now);
        heart_set_limit(&job->heart[r], SECONDS);
        job->activity[r] = (struct activity_now){
            .phase = ACTIVITY_EXCHANGE, .step = 9, .detail = 3, .since = job->now};
        job->next[r] = job->now + 0.01 * test_random_between(0, 99);
        job->alive[r] = true;
    }
}

static void job_release(struct job *job) {
    free(job->heart);
    free(job->activity);
    free(job->next);
    free(job->alive);
}

static void beat(struct job *job, int rank, enum heart_kind kind) {
    struct heart_beat message;
    const struct heart *heart = &job->heart[rank];
    heart_fill(&message, heart, &job->activity[rank], job->now);
    message.kind = kind;
    for (int n = 0; n < heart->count; n++) {
        const int to = heart->neighbour[n].rank;
        job->messages++;
        if (job->alive[to]) {
            heart_hear(&job->heart[to], &message, job->now);
        }
    }
}

/* Runs on; true as soon as somebody finds somebody silent. */
static bool run(struct heart_verdict *verdict, struct job *job, double seconds) {
    const double end = job->now + seconds;
    for (; job->now < end; job->now += 0.1) {
        for (int r = 0; r < job->ranks; r++) {
            if (!job->alive[r] || job->next[r] > job->now) {
                continue;
            }
            job->next[r] += job->heart[r].beat;
            beat(job, r, HEART_BEAT);
            if (heart_find_silent(verdict, &job->heart[r], job->now)) {
                return true;
            }
        }
    }
    return false;
}

static void test_heart__a_silent_rank_is_found_by_its_parent_in_time(void) {
    struct job job;
    struct heart_verdict verdict;
    for (int round = 0; round < 8; round++) {
        static const int sizes[] = {2, 3, 33, 34, 1057, RANKS, RANKS, RANKS};
        job_init(&job, sizes[round]);
        CU_ASSERT(!run(&verdict, &job, 3 * SECONDS));
        /* Rank 1 of the largest job has children, who notice too. */
        const int silent = job.ranks == RANKS ? 1 : test_random_between(0, job.ranks - 1);
        job.alive[silent] = false;
        const double since = job.now;
        CU_ASSERT_FATAL(run(&verdict, &job, 2 * SECONDS));
        CU_ASSERT_EQUAL(verdict.rank, silent);
        CU_ASSERT_EQUAL(verdict.by,
            silent > 0 ? (silent - 1) / HEART_CHILDREN : job.heart[0].neighbour[0].rank);
        CU_ASSERT(job.now - since < 0.9 * SECONDS);
        CU_ASSERT(verdict.seconds >= 0.6 * SECONDS);
        job_release(&job);
    }
}

static void test_heart__no_rank_sends_more_than_to_its_neighbours(void) {
    struct job job;
    struct heart_verdict verdict;
    job_init(&job, RANKS);
    CU_ASSERT(!run(&verdict, &job, 10));
    CU_ASSERT(job.messages <= (int64_t)2 * (RANKS - 1) * 11); /* a tree's edges, both ways */
    for (int r = 0; r < RANKS; r++) {
        CU_ASSERT(job.heart[r].count <= HEART_CHILDREN + 1);
    }
    job_release(&job);
}

static void test_heart__rank_0_knows_who_keeps_whom_waiting(void) {
    struct job job;
    struct heart_verdict verdict;
    struct heart_beat all;
    job_init(&job, RANKS);
    const int late = test_random_between(1, RANKS - 1);
    job.activity[late] =
        (struct activity_now){.phase = ACTIVITY_FORWARD, .step = 9, .detail = -1, .since = job.now};
    const int waiter = late == 17 ? 18 : 17;
    for (int r = 0; r < RANKS; r++) {
        job.activity[r].since += r == waiter ? 5 : 10;
    }
    CU_ASSERT(!run(&verdict, &job, 60));
    heart_fill(&all, &job.heart[0], &job.activity[0], job.now);
    CU_ASSERT_EQUAL(all.ranks, RANKS);
    CU_ASSERT_EQUAL(all.busy, 1);
    CU_ASSERT_EQUAL(all.behind.rank, late);
    CU_ASSERT_EQUAL(all.behind.phase, ACTIVITY_FORWARD);
    CU_ASSERT_DOUBLE_EQUAL(all.behind.seconds, 50, 4);
    CU_ASSERT_EQUAL(all.waiter.rank, waiter);
    CU_ASSERT_EQUAL(all.waiter.detail, 3);
    CU_ASSERT_DOUBLE_EQUAL(all.waiter.seconds, 55, 4);
    job_release(&job);
}

/* What a rank told ages: with rare beats, a wait of a moment would count until the next one. */
static void test_heart__the_waits_are_known_however_long_a_rank_may_be_silent(void) {
    static const double limits[] = {0, 30, 600, 86400, 1e9};
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        struct job job;
        struct heart_verdict verdict;
        struct heart_beat all;
        job_init(&job, 40);
        for (int r = 0; r < job.ranks; r++) {
            heart_set_limit(&job.heart[r], limits[i]);
        }
        CU_ASSERT(!run(&verdict, &job, 5)); /* all wait, then all but one work */
        for (int r = 0; r < job.ranks; r++) {
            job.activity[r].phase = r == 39 ? ACTIVITY_EXCHANGE : ACTIVITY_FORWARD;
            job.activity[r].since = job.now;
        }
        CU_ASSERT(!run(&verdict, &job, 5));
        heart_fill(&all, &job.heart[0], &job.activity[0], job.now);
        CU_ASSERT_EQUAL(all.ranks, 40);
        CU_ASSERT_EQUAL(all.busy, 39);
        CU_ASSERT_EQUAL(all.waiter.rank, 39);
        CU_ASSERT_DOUBLE_EQUAL(all.waiter.seconds, 5, 0.2);
        if (limits[i] == 600) {
            job.alive[7] = false;
            CU_ASSERT(!run(&verdict, &job, 0.6 * 600 - 1));
            CU_ASSERT(run(&verdict, &job, 4));
            CU_ASSERT_EQUAL(verdict.rank, 7);
        }
        job_release(&job);
    }
}

static void test_heart__who_is_not_heard_of_is_behind_and_waits_for_nobody(void) {
    struct job job;
    struct heart_verdict verdict;
    struct heart_beat all;
    job_init(&job, 40);
    job.activity[3].phase = ACTIVITY_FORWARD;
    job.activity[2].since = job.now - 50; /* waits for longest, then stops */
    CU_ASSERT(!run(&verdict, &job, 5));
    job.alive[2] = false;
    CU_ASSERT(!run(&verdict, &job, 5));
    heart_fill(&all, &job.heart[0], &job.activity[0], job.now);
    CU_ASSERT_EQUAL(all.ranks, 39);
    CU_ASSERT_EQUAL(all.behind.rank, 2);
    CU_ASSERT_EQUAL(all.behind.phase, HEART_LOST);
    CU_ASSERT_DOUBLE_EQUAL(all.behind.seconds, 5, 1.2);
    CU_ASSERT_NOT_EQUAL(all.waiter.rank, 2);
    job_release(&job);
}

static void test_heart__where_all_wait_the_earliest_step_is_behind(void) {
    struct job job;
    struct heart_verdict verdict;
    struct heart_beat all;
    job_init(&job, 100);
    job.activity[63].step = 8;
    CU_ASSERT(!run(&verdict, &job, 20));
    heart_fill(&all, &job.heart[0], &job.activity[0], job.now);
    CU_ASSERT_EQUAL(all.busy, 0);
    CU_ASSERT_EQUAL(all.behind.rank, 63);
    job_release(&job);
}

static void test_heart__a_job_that_was_suspended_accuses_nobody(void) {
    struct job job;
    struct heart_verdict verdict;
    struct heart_beat all;
    job_init(&job, 200);
    CU_ASSERT(!run(&verdict, &job, 20));
    job.now += 3600;
    for (int r = 0; r < job.ranks; r++) { /* they wake up one after another */
        job.next[r] = job.now + 0.01 * test_random_between(0, 300);
        heart_wake(&job.heart[r], job.now);
    }
    CU_ASSERT(!run(&verdict, &job, 20));
    heart_fill(&all, &job.heart[0], &job.activity[0], job.now);
    CU_ASSERT(all.waiter.seconds < 30); /* the hour does not count as waiting */
    job_release(&job);
}

static void test_heart__who_said_farewell_or_was_never_heard_is_not_silent(void) {
    struct job job;
    struct heart_verdict verdict;
    job_init(&job, 40);
    job.alive[5] = false; /* behind a firewall from the start */
    CU_ASSERT(!run(&verdict, &job, 40));
    CU_ASSERT_EQUAL(heart_find_unheard(&job.heart[0], 30, job.now), 5);
    CU_ASSERT_EQUAL(heart_find_unheard(&job.heart[0], 50, job.now), HEART_NOBODY);
    CU_ASSERT_EQUAL(heart_find_unheard(&job.heart[6], 30, job.now), HEART_NOBODY);
    beat(&job, 7, HEART_BYE);
    job.alive[7] = false;
    CU_ASSERT(!run(&verdict, &job, 40));
    job_release(&job);
}

static void test_heart__the_slower_limit_of_two_counts(void) {
    struct job job;
    struct heart_verdict verdict;
    job_init(&job, 2);
    CU_ASSERT(!run(&verdict, &job, 2));
    heart_set_limit(&job.heart[1], 100); /* has read the new limits, the other one not yet */
    CU_ASSERT(!run(&verdict, &job, 100));
    heart_set_limit(&job.heart[1], 0);
    beat(&job, 1, HEART_BEAT);
    job.alive[1] = false;
    CU_ASSERT(!run(&verdict, &job, 1000)); /* it watches no more, and is not watched */
    job_release(&job);
}

static void test_heart__a_wait_is_told_of_each_time_it_is_twice_as_long(void) {
    struct heart_warning warning = {0};
    struct heart_place waiter = {.rank = 2, .phase = ACTIVITY_EXCHANGE, .step = 7};
    int told = 0;
    for (waiter.seconds = 1; waiter.seconds < 100; waiter.seconds++) {
        told += heart_warns(&warning, &waiter, 10); /* at 10, 20, 40, 80 */
    }
    CU_ASSERT_EQUAL(told, 4);
    waiter.step = 8; /* nobody looked while no one waited */
    waiter.seconds = 9;
    CU_ASSERT(!heart_warns(&warning, &waiter, 10));
    waiter.seconds = 11;
    CU_ASSERT(heart_warns(&warning, &waiter, 10));
    waiter.step = 9;
    waiter.seconds = 12;
    CU_ASSERT(heart_warns(&warning, &waiter, 10));
    CU_ASSERT(!heart_warns(&warning, &waiter, 10));
    waiter.seconds = 1000;
    CU_ASSERT(!heart_warns(&warning, &waiter, 0));
    waiter.rank = HEART_NOBODY;
    CU_ASSERT(!heart_warns(&warning, &waiter, 10));
}

static void test_heart__who_speaks_can_be_reached(void) {
    static const int node[] = {0, 0, 1, 1, 2};
    CU_ASSERT_EQUAL(heart_speaker(3, 2, node, 5), 0); /* elsewhere: rank 0 */
    CU_ASSERT_EQUAL(heart_speaker(1, 0, node, 5), 0); /* rank 0 itself noticed */
    CU_ASSERT_EQUAL(heart_speaker(1, 3, node, 5), 2); /* rank 0 may be cut off with it */
    CU_ASSERT_EQUAL(heart_speaker(0, 4, node, 5), 2);
    CU_ASSERT_EQUAL(heart_speaker(0, 1, node, 2), 1); /* one node */
}

TEST_MAIN("heart", TEST(test_heart__a_silent_rank_is_found_by_its_parent_in_time),
    TEST(test_heart__no_rank_sends_more_than_to_its_neighbours),
    TEST(test_heart__rank_0_knows_who_keeps_whom_waiting),
    TEST(test_heart__the_waits_are_known_however_long_a_rank_may_be_silent),
    TEST(test_heart__who_is_not_heard_of_is_behind_and_waits_for_nobody),
    TEST(test_heart__where_all_wait_the_earliest_step_is_behind),
    TEST(test_heart__a_job_that_was_suspended_accuses_nobody),
    TEST(test_heart__who_said_farewell_or_was_never_heard_is_not_silent),
    TEST(test_heart__the_slower_limit_of_two_counts),
    TEST(test_heart__a_wait_is_told_of_each_time_it_is_twice_as_long),
    TEST(test_heart__who_speaks_can_be_reached))
