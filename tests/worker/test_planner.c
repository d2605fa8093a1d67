/* The memory plan by itself: what lives together does not overlap, and little is wasted. */
#include "support/models.h"
#include "support/net_case.h"
#include "support/support.h"
#include "worker/planner.h"

#include <stdlib.h>

static bool overlap_wrongly(const struct planner_block *a, const struct planner_block *b) {
    bool in_time = a->from <= b->to && b->from <= a->to;
    bool in_memory = a->offset < b->offset + b->bytes && b->offset < a->offset + a->bytes;
    return in_time && in_memory && a->bytes > 0 && b->bytes > 0;
}

static int count_overlaps(const struct planner_block *blocks, int count, size_t total) {
    int wrong = 0;
    for (int i = 0; i < count; i++) {
        wrong += blocks[i].offset + blocks[i].bytes > total || blocks[i].offset % 64 != 0;
        for (int j = 0; j < i; j++) {
            wrong += overlap_wrongly(&blocks[i], &blocks[j]);
        }
    }
    return wrong;
}

/* The most bytes alive at any one time: no plan can need less. */
static size_t most_alive(const struct planner_block *blocks, int count) {
    size_t most = 0;
    for (int i = 0; i < count; i++) {
        size_t alive = 0;
        for (int j = 0; j < count; j++) {
            bool now = blocks[j].from <= blocks[i].from && blocks[i].from <= blocks[j].to;
            alive += now ? blocks[j].bytes : 0;
        }
        most = alive > most ? alive : most;
    }
    return most;
}

static void test_planner__live_blocks_never_overlap(void) {
    for (int round = 0; round < 100; round++) {
        struct planner_block blocks[80];
        int count = test_random_between(0, 80);
        for (int i = 0; i < count; i++) {
            int from = test_random_between(0, 50);
            blocks[i] = (struct planner_block){.bytes = (size_t)test_random_between(0, 40) * 64,
                .from = from,
                .to = from + test_random_between(0, 20)};
        }
        size_t total;
        CU_ASSERT_EQUAL(planner_place(&total, blocks, count), STATUS_OK);
        CU_ASSERT_EQUAL(count_overlaps(blocks, count, total), 0);
        CU_ASSERT_TRUE(total >= most_alive(blocks, count));
    }
}

static void test_planner__reuses_memory(void) {
    struct planner_block chain[20];
    for (int i = 0; i < 20; i++) { /* each lives with its neighbours alone */
        chain[i] = (struct planner_block){.bytes = 640, .from = i, .to = i + 1};
    }
    size_t total;
    CU_ASSERT_EQUAL(planner_place(&total, chain, 20), STATUS_OK);
    CU_ASSERT_EQUAL(total, 2 * 640);
}

static void test_planner__fits_into_the_smallest_gap(void) {
    struct planner_block blocks[] = {
        {.bytes = 6400, .from = 0, .to = 0}, /* leaves a gap of 6400 */
        {.bytes = 6336, .from = 0, .to = 9},
        {.bytes = 640, .from = 0, .to = 0},
        {.bytes = 320, .from = 0, .to = 9},
        {.bytes = 256, .from = 5, .to = 9},
    };
    size_t total;
    CU_ASSERT_EQUAL(planner_place(&total, blocks, 5), STATUS_OK);
    CU_ASSERT_EQUAL(total, 6400 + 6336 + 640 + 320);
    CU_ASSERT_EQUAL(blocks[4].offset, 6400 + 6336); /* into the 640, not the 6400 */
}

/* Of a real net; and that it is far from one piece of memory a value. */
static void test_planner__plans_nets(void) {
    static const struct net_case_options options = {.pictures = 16, .leaves = 2, .threads = 2};
    static const char *const models[] = {MODEL_LENET, MODEL_RESIDUAL};
    for (int m = 0; m < 2; m++) {
        struct net_case c;
        net_case_init(&c, models[m], &options);
        const struct memory_plan *plan = &c.net->plan;
        CU_ASSERT_EQUAL(count_overlaps(plan->block, plan->blocks, plan->total), 0);
        size_t sum = 0;
        for (int b = 0; b < plan->blocks; b++) {
            sum += plan->block[b].bytes;
        }
        CU_ASSERT_TRUE(plan->total < sum);
        CU_ASSERT_TRUE(plan->total <= most_alive(plan->block, plan->blocks) * 5 / 4);
        struct net_memory memory = net_memory_report(c.net);
        CU_ASSERT_EQUAL(memory.activations + memory.scratch, plan->total);
        CU_ASSERT_TRUE(c.net->arena.size >= plan->total);
        net_case_release(&c);
    }
}

TEST_MAIN("planner", TEST(test_planner__live_blocks_never_overlap),
    TEST(test_planner__reuses_memory), TEST(test_planner__fits_into_the_smallest_gap),
    TEST(test_planner__plans_nets))
