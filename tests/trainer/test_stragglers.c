#include "support/support.h"

#include "trainer/stragglers.h"

#include <string.h>

static void check(const struct rank_times *times, int ranks, int rank, bool stands_out,
    enum straggler_cause cause) {
    struct straggler found;
    CU_ASSERT_EQUAL_FATAL(straggler_find(&found, times, ranks), STATUS_OK);
    CU_ASSERT_EQUAL(found.rank, rank);
    CU_ASSERT_EQUAL(found.stands_out, stands_out);
    CU_ASSERT_EQUAL(found.cause, cause);
}

static void test_stragglers__the_slowest_is_named_with_its_cause(void) {
    const struct rank_times input[] = {{1, 5, 4}, {4, 5, 1}, {1, 5, 4}, {0.5, 6, 3.5}};
    const struct rank_times compute[] = {{1, 5, 4}, {0, 9, 1}, {1, 5, 4}, {2, 5, 3}};
    check(input, 4, 1, true, STRAGGLER_INPUT);
    check(compute, 4, 1, true, STRAGGLER_COMPUTE);
}

static void test_stragglers__even_ranks_have_none_but_a_place_where_the_time_goes(void) {
    const struct rank_times exchange[] = {{1, 2, 7}, {1, 2.1, 6.9}, {1, 2, 7}};
    const struct rank_times input[] = {{6, 3, 1}, {6.2, 3, 0.8}};
    const struct rank_times compute[] = {{0, 10, 0}};
    check(exchange, 3, 1, false, STRAGGLER_WAITING);
    check(input, 2, 1, false, STRAGGLER_INPUT);
    check(compute, 1, 0, false, STRAGGLER_COMPUTE);
}

static void test_stragglers__others_are_the_medians_without_the_slowest(void) {
    const struct rank_times times[] = {{9, 1, 0}, {1, 2, 7}, {2, 3, 5}, {3, 4, 3}, {4, 5, 1}};
    struct straggler found;
    CU_ASSERT_EQUAL_FATAL(straggler_find(&found, times, 5), STATUS_OK);
    CU_ASSERT_EQUAL(found.others.input, 2.5);
    CU_ASSERT_EQUAL(found.others.compute, 3.5);
    CU_ASSERT_EQUAL(found.others.waiting, 4);
    CU_ASSERT_EQUAL(found.slowest.input, 9);
}

static void test_stragglers__every_cause_has_a_name(void) {
    CU_ASSERT_STRING_EQUAL(straggler_cause_name(STRAGGLER_INPUT), "input");
    CU_ASSERT_STRING_EQUAL(straggler_cause_name(STRAGGLER_COMPUTE), "compute");
    CU_ASSERT_STRING_EQUAL(straggler_cause_name(STRAGGLER_WAITING), "waiting");
}

TEST_MAIN("stragglers", TEST(test_stragglers__the_slowest_is_named_with_its_cause),
    TEST(test_stragglers__even_ranks_have_none_but_a_place_where_the_time_goes),
    TEST(test_stragglers__others_are_the_medians_without_the_slowest),
    TEST(test_stragglers__every_cause_has_a_name))
