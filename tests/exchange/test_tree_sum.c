/* The tree over all ranks by messages against plain recursion in one process, bit for bit. */
#include "base/memory.h"
#include "base/tree.h"
#include "ranks.h"
#include "support/support.h"
#include "worker/exchange/tree_sum.h"

#include <stdlib.h>
#include <string.h>

#define COUNT 5

struct sum_case {
    int leaves, filled;
    bool good[RANKS_LIMIT];
};

/* Of very different sizes, so that order shows in the bits. */
static double leaf_value(int leaf, int i) {
    uint32_t bits = (uint32_t)(leaf * 7919 + i * 104729 + 12345) * 2654435761u;
    return ((double)(int32_t)bits) * (bits % 3 == 0 ? 1e9 : bits % 3 == 1 ? 1.0 : 1e-7);
}

/* The sum over [first, first + leaves), of which the first has pictures. */
static double tree_value(const struct sum_case *c, int first, int leaves, int i) {
    if (leaves == 1) {
        return leaf_value(first, i);
    }
    double left = tree_value(c, first, leaves / 2, i);
    return first + leaves / 2 < c->filled ? left + tree_value(c, first + leaves / 2, leaves / 2, i)
                                          : left;
}

static bool run_rank(struct transport *transport, void *context) {
    const struct sum_case *c = context;
    const struct tree_sum sum = {transport, c->leaves, c->filled};
    const int first = tree_rank_first(transport->rank, transport->ranks, c->leaves);
    if (first >= c->filled) {
        return tree_sum_bytes(transport->rank, transport->ranks, c->leaves, c->filled, COUNT) == 0;
    }
    struct subtree cover[TREE_SUBTREES_LIMIT];
    int subtrees =
        tree_cover(cover, first, tree_rank_leaves(transport->rank, transport->ranks, c->leaves), 0);
    double partial[TREE_SUBTREES_LIMIT][COUNT], scratch[COUNT];
    memset(partial, 0xff, sizeof partial); /* not a number where there are no pictures */
    for (int s = 0; s < subtrees && cover[s].first < c->filled; s++) {
        for (int i = 0; i < COUNT; i++) {
            partial[s][i] = tree_value(c, cover[s].first, cover[s].leaves, i);
        }
    }
    const int64_t sent = transport->bytes_sent;
    if (tree_sum(&sum, partial[0], scratch, COUNT) != STATUS_OK) {
        return false;
    }
    bool good = transport->bytes_sent - sent ==
                tree_sum_bytes(transport->rank, transport->ranks, c->leaves, c->filled, COUNT);
    for (int i = 0; i < COUNT; i++) {
        double wanted = tree_value(c, 0, c->leaves, i);
        good = good && memcmp(&partial[0][i], &wanted, sizeof wanted) == 0;
    }
    return good;
}

static void test_tree_sum__is_the_tree_for_any_ranks(void) {
    for (int leaves = 1; leaves <= 32; leaves *= 2) {
        for (int ranks = 1; ranks <= leaves && ranks <= 16; ranks++) {
            struct sum_case c = {leaves, leaves, {false}};
            CU_ASSERT_EQUAL(ranks_run(ranks, 0, run_rank, &c), 0);
            c.filled = test_random_between(1, leaves);
            CU_ASSERT_EQUAL(ranks_run(ranks, test_random(), run_rank, &c), 0);
        }
    }
}

TEST_MAIN("tree_sum", TEST(test_tree_sum__is_the_tree_for_any_ranks))
