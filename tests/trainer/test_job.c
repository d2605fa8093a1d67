#include "support/support.h"
#include "trainer/job.h"

/* Ranks that mpirun bound to cores of their own. */
static void test_job__pins_from_the_first_core_where_cores_are_its_own(void) {
    const struct job job = {
        .host_ranks = 4, .host_cores = 16, .cores = 4, .host_rank = 2, .own_cores = true};
    CU_ASSERT_EQUAL(job_first_core(&job, 4), 0);
}

/* Ranks that share all cores of the host. */
static void test_job__pins_side_by_side_where_cores_are_shared(void) {
    const struct job job = {.host_ranks = 4, .host_cores = 16, .cores = 16, .host_rank = 2};
    CU_ASSERT_EQUAL(job_first_core(&job, 4), 8);
}

static void test_job__pins_nothing_where_cores_are_left_or_short(void) {
    struct job job = {.host_ranks = 4, .host_cores = 16, .cores = 16, .host_rank = 2};
    CU_ASSERT_EQUAL(job_first_core(&job, 2), -1); /* another job may use the rest */
    CU_ASSERT_EQUAL(job_first_core(&job, 8), -1); /* --oversubscribe */
    job.cores = 8;                                /* bound, but not apart */
    CU_ASSERT_EQUAL(job_first_core(&job, 4), -1);
    job = (struct job){
        .host_ranks = 4, .host_cores = 16, .cores = 2, .host_rank = 2, .own_cores = true};
    CU_ASSERT_EQUAL(job_first_core(&job, 4), -1); /* uneven binding */
}

TEST_MAIN("job", TEST(test_job__pins_from_the_first_core_where_cores_are_its_own),
    TEST(test_job__pins_side_by_side_where_cores_are_shared),
    TEST(test_job__pins_nothing_where_cores_are_left_or_short))
