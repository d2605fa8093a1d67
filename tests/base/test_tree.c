#include "base/tree.h"
#include "support/support.h"

static void test_tree__leaves_cover_the_step(void) {
    for (int leaves = 1; leaves <= 64; leaves *= 2) {
        for (int64_t pictures = 0; pictures < 300; pictures++) {
            int64_t sum = 0;
            for (int l = 0; l < leaves; l++) {
                CU_ASSERT_EQUAL(tree_leaf_start(pictures, leaves, l), sum);
                sum += tree_leaf_pictures(pictures, leaves, l);
            }
            CU_ASSERT_EQUAL(sum, pictures);
            CU_ASSERT_EQUAL(tree_leaf_start(pictures, leaves, leaves), pictures);
        }
    }
}

static void test_tree__cover_is_aligned_and_whole(void) {
    struct subtree out[64 + TREE_SUBTREES_LIMIT];
    for (int first = 0; first < 64; first++) {
        for (int count = 0; first + count <= 64; count++) {
            for (int limit = 0; limit <= 4; limit = limit == 0 ? 1 : limit * 2) {
                int n = tree_cover(out, first, count, limit);
                int at = first;
                for (int i = 0; i < n; i++) {
                    CU_ASSERT_EQUAL(out[i].first, at);
                    CU_ASSERT_TRUE(tree_is_power_of_two(out[i].leaves));
                    CU_ASSERT_EQUAL(out[i].first % out[i].leaves, 0);
                    CU_ASSERT_TRUE(limit == 0 || out[i].leaves <= limit);
                    at += out[i].leaves;
                }
                CU_ASSERT_EQUAL(at, first + count);
                CU_ASSERT_TRUE(limit != 0 || n <= 12);
            }
        }
    }
}

static void test_tree__counter_ends_in_the_maximal_subtrees(void) {
    struct subtree pieces[64 + TREE_SUBTREES_LIMIT], whole[TREE_SUBTREES_LIMIT];
    for (int first = 0; first < 64; first++) {
        for (int count = 1; first + count <= 64; count++) {
            int n = tree_cover(pieces, first, count, 1 << test_random_between(0, 3));
            struct tree_counter counter = {0};
            for (int i = 0; i < n; i++) {
                tree_counter_push(&counter, pieces[i]);
                int into, from;
                while (tree_counter_merge(&counter, &into, &from)) {
                    CU_ASSERT_EQUAL(from, into + 1);
                }
            }
            int expected = tree_cover(whole, first, count, 0);
            CU_ASSERT_EQUAL(counter.count, expected);
            for (int i = 0; i < expected && i < counter.count; i++) {
                CU_ASSERT_EQUAL(counter.stack[i].first, whole[i].first);
                CU_ASSERT_EQUAL(counter.stack[i].leaves, whole[i].leaves);
            }
        }
    }
}

TEST_MAIN("tree", TEST(test_tree__leaves_cover_the_step),
    TEST(test_tree__cover_is_aligned_and_whole),
    TEST(test_tree__counter_ends_in_the_maximal_subtrees))
