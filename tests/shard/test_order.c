#include "base/tree.h"
#include "shard/order.h"
#include "support/support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Goes through one epoch and counts how often each record comes; checks the leaves' ownership. */
static void walk(const struct order *order, uint32_t epoch) {
    CU_ASSERT_EQUAL_FATAL(order_check(order), STATUS_OK);
    unsigned char *seen = calloc((size_t)order->records, 1);
    int64_t total = 0;
    for (int64_t step = 0; step < order_steps(order); step++) {
        int64_t in_step = 0;
        for (int leaf = 0; leaf < order->leaves; leaf++) {
            int64_t pictures = order_leaf_pictures(order, step, leaf);
            in_step += pictures;
            for (int64_t i = 0; i < pictures; i++) {
                int64_t record = order_record(order, epoch, step, leaf, i);
                CU_ASSERT_FATAL(record >= 0 && record < order->records);
                seen[record]++;
                if (order->shuffle == ORDER_SHARD) {
                    CU_ASSERT_EQUAL(record % order->leaves, leaf);
                    int64_t shard = record % order->shards;
                    CU_ASSERT(order->leaves <= order->shards ? shard % order->leaves == leaf
                                                             : leaf % order->shards == shard);
                }
            }
        }
        CU_ASSERT_EQUAL(in_step, order_step_pictures(order, step));
        total += in_step;
    }
    int64_t expected =
        order->drop_last ? order->records / order->batch * order->batch : order->records;
    CU_ASSERT_EQUAL(total, expected);
    int64_t once = 0;
    for (int64_t i = 0; i < order->records; i++) {
        CU_ASSERT(seen[i] <= 1);
        once += seen[i] == 1;
    }
    CU_ASSERT_EQUAL(once, expected);
    free(seen);
}

static void test_order__every_record_once_an_epoch(void) {
    const int records[] = {1, 2, 3, 5, 8, 31, 64, 97, 130};
    for (size_t n = 0; n < sizeof records / sizeof records[0]; n++) {
        for (int leaves = 1; leaves <= 16; leaves *= 2) {
            for (int shards = 1; shards <= 16; shards *= 4) {
                for (int leaf = 1; leaf <= 5; leaf += 2) {
                    for (int shuffle = ORDER_NONE; shuffle <= ORDER_SHARD; shuffle++) {
                        struct order order = {.records = records[n],
                            .shards = shards,
                            .leaves = leaves,
                            .batch = leaves * leaf,
                            .shuffle = (enum order_shuffle)shuffle,
                            .seed = 7};
                        walk(&order, 3);
                        order.drop_last = true;
                        if (order.records >= order.batch) {
                            walk(&order, 4);
                        }
                    }
                }
            }
        }
    }
}

static void test_order__permutation_is_one_for_every_count(void) {
    unsigned char seen[520];
    for (int64_t count = 1; count <= 520; count++) {
        memset(seen, 0, sizeof seen);
        for (int64_t i = 0; i < count; i++) {
            int64_t value = order_permute(i, count, 1, 2, 3);
            CU_ASSERT_FATAL(value >= 0 && value < count);
            CU_ASSERT_EQUAL(seen[value]++, 0);
        }
    }
    /* The largest counts stay in range and apart. */
    int64_t last = -1;
    for (int64_t i = 0; i < 1000; i++) {
        int64_t value = order_permute(ORDER_RECORDS_LIMIT - 1 - i, ORDER_RECORDS_LIMIT, 1, 2, 3);
        CU_ASSERT(value >= 0 && value < ORDER_RECORDS_LIMIT && value != last);
        last = value;
    }
}

static int64_t same_places(int64_t count, uint64_t seed, uint32_t epoch, uint32_t domain) {
    int64_t same = 0;
    for (int64_t i = 0; i < count; i++) {
        same += order_permute(i, count, 1, 0, 0) == order_permute(i, count, seed, epoch, domain);
    }
    return same;
}

static void test_order__differs_by_seed_epoch_and_domain(void) {
    CU_ASSERT_EQUAL(same_places(1000, 1, 0, 0), 1000);
    /* The number of equal places is Poisson with mean 1. */
    CU_ASSERT(same_places(1000, 2, 0, 0) < 8);
    CU_ASSERT(same_places(1000, 1ull << 40 | 1, 0, 0) < 8);
    CU_ASSERT(same_places(1000, 1, 1, 0) < 8);
    CU_ASSERT(same_places(1000, 1, 0, 1) < 8);
}

/* Leaves of the shard shuffle draw apart: not the same place of their own records at the same time.
 */
static void test_order__leaves_draw_apart(void) {
    struct order order = {.records = 4000,
        .shards = 4,
        .leaves = 4,
        .batch = 4000,
        .shuffle = ORDER_SHARD,
        .seed = 1};
    int same = 0;
    for (int64_t i = 0; i < 1000; i++) {
        same += order_record(&order, 0, 0, 0, i) / 4 == order_record(&order, 0, 0, 1, i) / 4;
    }
    CU_ASSERT(same < 8);
}

/* Chi-square of `cells` equally likely counts, as standard deviations from its mean. */
static double deviations(const int *counts, int cells, int total) {
    double expected = (double)total / cells, sum = 0;
    for (int i = 0; i < cells; i++) {
        sum += (counts[i] - expected) * (counts[i] - expected) / expected;
    }
    return (sum - (cells - 1)) / sqrt(2.0 * (cells - 1));
}

static void test_order__looks_uniform(void) {
    /* All 24 permutations of 4, the 120 of 5. */
    for (int count = 4; count <= 5; count++) {
        int counts[5 * 5 * 5 * 5 * 5] = {0}, kept[120], kinds = count == 4 ? 24 : 120, found = 0;
        for (uint32_t epoch = 0; epoch < 20000; epoch++) {
            int code = 0;
            for (int i = 0; i < count; i++) {
                code = code * count + (int)order_permute(i, count, 5, epoch, 0);
            }
            counts[code]++;
        }
        for (int i = 0; i < 5 * 5 * 5 * 5 * 5; i++) {
            if (counts[i] > 0) {
                CU_ASSERT_FATAL(found < kinds);
                kept[found++] = counts[i];
            }
        }
        CU_ASSERT_EQUAL(found, kinds);
        CU_ASSERT(fabs(deviations(kept, found, 20000)) < 4);
    }
    /* Where position 0 to 63 of 64 go, and what the step between neighbours is, over epochs. */
    static int place[64 * 64], step[64];
    for (uint32_t epoch = 0; epoch < 1000; epoch++) {
        int64_t last = order_permute(63, 64, 9, epoch, 1);
        for (int i = 0; i < 64; i++) {
            int64_t value = order_permute(i, 64, 9, epoch, 1);
            place[i * 64 + value]++;
            step[(value - last + 64) % 64]++;
            last = value;
        }
    }
    CU_ASSERT(fabs(deviations(place, 64 * 64, 64000)) < 4);
    CU_ASSERT_EQUAL(step[0], 0);
    CU_ASSERT(fabs(deviations(step + 1, 63, 64000)) < 4);
}

static void test_order__refuses(void) {
    struct order order = {.records = 100, .shards = 4, .leaves = 4, .batch = 16};
    CU_ASSERT_EQUAL(order_check(&order), STATUS_OK);
    struct order bad = order;
    bad.records = 0;
    TEST_ASSERT_FAILS(order_check(&bad), "0 records");
    bad = order, bad.leaves = 3;
    TEST_ASSERT_FAILS(order_check(&bad), "3 leaves");
    bad = order, bad.batch = 18;
    TEST_ASSERT_FAILS(order_check(&bad), "multiple of its 4 leaves");
    bad = order, bad.shards = 6;
    TEST_ASSERT_FAILS(order_check(&bad), "6 shards");
    bad = order, bad.batch = 128, bad.drop_last = true;
    TEST_ASSERT_FAILS(order_check(&bad), "no step");
}

static void test_order__a_shard_is_needed_where_a_record_of_it_is_drawn(void) {
    for (int round = 0; round < 60; round++) {
        struct order order = {.shards = 1 << test_random_between(0, 5),
            .leaves = 1 << test_random_between(0, 5),
            .shuffle = round % 2 ? ORDER_SHARD : ORDER_GLOBAL,
            .seed = test_random()};
        order.batch = order.leaves * 2;
        order.records = 64 * test_random_between(4, 9);
        const int first = test_random_between(0, order.leaves - 1);
        const int end = test_random_between(first, order.leaves);
        bool drawn[32] = {false};
        for (int64_t step = 0; step < order_steps(&order); step++) {
            for (int leaf = first; leaf < end; leaf++) {
                for (int64_t i = 0; i < order_leaf_pictures(&order, step, leaf); i++) {
                    drawn[order_record(&order, 3, step, leaf, i) % order.shards] = true;
                }
            }
        }
        for (int shard = 0; shard < order.shards; shard++) {
            const bool needed = order_needs_shard(&order, first, end, shard);
            CU_ASSERT(needed || !drawn[shard]);
            if (order.shuffle == ORDER_SHARD) {
                CU_ASSERT_EQUAL(needed, drawn[shard]);
            }
        }
    }
}

TEST_MAIN("order", TEST(test_order__a_shard_is_needed_where_a_record_of_it_is_drawn),
    TEST(test_order__every_record_once_an_epoch),
    TEST(test_order__permutation_is_one_for_every_count),
    TEST(test_order__differs_by_seed_epoch_and_domain), TEST(test_order__leaves_draw_apart),
    TEST(test_order__looks_uniform), TEST(test_order__refuses))
