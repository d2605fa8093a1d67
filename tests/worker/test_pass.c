#include "support/support.h"
#include "worker/pass.h"

#include <string.h>

/* Values whose sum tells the order: only the tree gives these bits. */
static const float values8[8] = {1e8f, 1.0f, -1e8f, 3.0f, 0.1f, 1e7f, 0.2f, -1e7f};

static float tree8(const float *v) {
    return ((v[0] + v[1]) + (v[2] + v[3])) + ((v[4] + v[5]) + (v[6] + v[7]));
}

static void fold(float *out, int leaves, const int *leaf_start, const struct subtree *subtree,
    int subtrees, int count) {
    float values[8 * 3], *outs[8];
    for (int l = 0; l < leaves; l++) {
        for (int i = 0; i < count; i++) {
            bool empty = leaf_start[l] == leaf_start[l + 1];
            values[l * count + i] = empty ? 1e30f : values8[l] * (float)(i + 1);
        }
    }
    for (int s = 0; s < subtrees; s++) {
        outs[s] = out + s * count;
    }
    struct pass pass = {
        .leaves = leaves,
        .leaf_start = leaf_start,
        .subtrees = subtrees,
        .subtree = subtree,
    };
    pass_fold_leaves(outs, values, count, &pass);
}

static void test_pass__folds_leaves_in_tree_order(void) {
    const int start[9] = {0, 2, 4, 6, 8, 9, 10, 11, 12};
    const struct subtree all = {0, 8};
    float out[3], twice[8];
    fold(out, 8, start, &all, 1, 3);
    CU_ASSERT_EQUAL(out[0], tree8(values8));
    for (int l = 0; l < 8; l++) {
        twice[l] = 2.0f * values8[l];
    }
    CU_ASSERT_EQUAL(out[1], tree8(twice));
    float chain = 0.0f;
    for (int l = 0; l < 8; l++) {
        chain += values8[l];
    }
    CU_ASSERT_NOT_EQUAL(out[0], chain);
}

static void test_pass__folds_each_subtree_wherever_the_pass_begins(void) {
    /* Leaves 3 to 7 of a step: the subtrees {3}, {4 .. 7}, counted from the pass's first leaf. */
    const int start[6] = {0, 1, 2, 3, 4, 5};
    const struct subtree subtree[2] = {{0, 1}, {1, 4}};
    float out[2];
    fold(out, 5, start, subtree, 2, 1);
    CU_ASSERT_EQUAL(out[0], values8[0]);
    CU_ASSERT_EQUAL(out[1], (values8[1] + values8[2]) + (values8[3] + values8[4]));
}

static void test_pass__skips_empty_leaves(void) {
    const int start[9] = {0, 1, 2, 3, 3, 3, 3, 3, 3};
    const struct subtree all = {0, 8}, halves[2] = {{0, 4}, {4, 4}};
    float out[2];
    fold(out, 8, start, &all, 1, 1);
    CU_ASSERT_EQUAL(out[0], (values8[0] + values8[1]) + values8[2]);
    fold(out, 8, start, halves, 2, 1);
    CU_ASSERT_EQUAL(out[1], 0.0f);
    const int late[5] = {0, 0, 0, 0, 1}; /* only the last leaf */
    const struct subtree four = {0, 4};
    fold(out, 4, late, &four, 1, 1);
    CU_ASSERT_EQUAL(out[0], values8[3]);
}

TEST_MAIN("pass", TEST(test_pass__folds_leaves_in_tree_order),
    TEST(test_pass__folds_each_subtree_wherever_the_pass_begins),
    TEST(test_pass__skips_empty_leaves))
