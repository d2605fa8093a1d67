#include "base/cpu.h"
#include "support/support.h"

#include <float.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

static void test_cpu__the_best_set_is_chosen_or_the_one_wished(void) {
    enum cpu_isa isa;
    unsetenv("CONVOY_ISA");
    CU_ASSERT_EQUAL(cpu_isa_choose(&isa), STATUS_OK);
    CU_ASSERT_TRUE(cpu_has(isa));
    for (int better = (int)isa + 1; better < CPU_ISA_COUNT; better++) {
        CU_ASSERT_FALSE(cpu_has((enum cpu_isa)better));
    }
    CU_ASSERT_TRUE(cpu_has(CPU_ISA_PORTABLE));
    for (int i = 0; i < CPU_ISA_COUNT; i++) {
        enum cpu_isa wish = (enum cpu_isa)i;
        CU_ASSERT_PTR_NOT_NULL_FATAL(cpu_isa_name(wish));
        setenv("CONVOY_ISA", cpu_isa_name(wish), 1);
        if (cpu_has(wish)) {
            CU_ASSERT_EQUAL(cpu_isa_choose(&isa), STATUS_OK);
            CU_ASSERT_EQUAL(isa, wish);
        } else {
            TEST_ASSERT_FAILS(cpu_isa_choose(&isa), "does not have it");
        }
    }
    setenv("CONVOY_ISA", "sse9", 1);
    TEST_ASSERT_FAILS(
        cpu_isa_choose(&isa), "CONVOY_ISA=sse9: unknown; known: portable, avx2, avx512");
    unsetenv("CONVOY_ISA");
}

static void test_cpu__the_loop_over_sets_has_those_of_the_machine(void) {
    int seen = 0, had = 0, before = -1;
    CPU_FOR_EACH_ISA (isa) {
        CU_ASSERT_TRUE((int)isa > before && cpu_has(isa));
        before = (int)isa;
        seen++;
    }
    for (int isa = 0; isa < CPU_ISA_COUNT; isa++) {
        had += cpu_has((enum cpu_isa)isa);
    }
    CU_ASSERT_EQUAL(seen, had);
    CU_ASSERT_EQUAL(cpu_isa_from(CPU_ISA_COUNT), CPU_ISA_COUNT);
}

static int core_of_this_thread(int *count) {
    cpu_set_t set;
    CU_ASSERT_EQUAL_FATAL(sched_getaffinity(0, sizeof set, &set), 0);
    *count = CPU_COUNT(&set);
    for (int i = 0; i < CPU_SETSIZE; i++) {
        if (CPU_ISSET(i, &set)) {
            return i;
        }
    }
    return -1;
}

static void *pin_all(void *ignored) {
    (void)ignored;
    int cores = cpu_count(), count;
    int *seen = calloc((size_t)cores, sizeof *seen);
    for (int i = 0; i < cores; i++) {
        CU_ASSERT_TRUE(cpu_pin(i));
        seen[i] = core_of_this_thread(&count);
        CU_ASSERT_EQUAL(count, 1);
        for (int k = 0; k < i; k++) {
            CU_ASSERT_NOT_EQUAL(seen[i], seen[k]);
        }
        CU_ASSERT_EQUAL(cpu_count(), cores); /* of the process, not of the pinned thread */
    }
    CU_ASSERT_TRUE(cpu_pin(cores)); /* wraps */
    CU_ASSERT_EQUAL(core_of_this_thread(&count), seen[0]);
    CU_ASSERT_FALSE(cpu_pin(-1));
    for (int i = 0; i < cores; i++) {
        CU_ASSERT_EQUAL(cpu_core(i), seen[i]);
    }
    CU_ASSERT_EQUAL(cpu_core(cores), -1);
    CU_ASSERT_EQUAL(cpu_core(-1), -1);
    CU_ASSERT_TRUE(cpu_unpin());
    core_of_this_thread(&count);
    CU_ASSERT_EQUAL(count, cores);
    free(seen);
    return NULL;
}

static void test_cpu__threads_are_pinned_to_cores_of_the_process(void) {
    int count;
    core_of_this_thread(&count);
    CU_ASSERT_EQUAL(cpu_count(), count);
    pthread_t thread;
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, pin_all, NULL), 0);
    pthread_join(thread, NULL);
    int after;
    core_of_this_thread(&after);
    CU_ASSERT_EQUAL(after, count);
}

static volatile float smallest = FLT_MIN, denormal = FLT_MIN / 4;

static void *flush(void *ignored) {
    (void)ignored;
    CU_ASSERT_TRUE(smallest * 0.5f > 0);
    CU_ASSERT_TRUE(denormal > 0);
    cpu_flush_denormals();
#if defined(__x86_64__) || defined(__aarch64__)
    CU_ASSERT_EQUAL(smallest * 0.5f, 0);
    CU_ASSERT_EQUAL(denormal * 1e20f, 0);
#endif
    return NULL;
}

static void test_cpu__denormals_are_flushed_on_the_calling_thread(void) {
    pthread_t thread;
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, flush, NULL), 0);
    pthread_join(thread, NULL);
    CU_ASSERT_TRUE(smallest * 0.5f > 0);
}

static void test_cpu__the_model_has_a_name(void) {
    CU_ASSERT_TRUE(strlen(cpu_model()) > 0);
    CU_ASSERT_PTR_NULL(strchr(cpu_model(), '\n'));
}

TEST_MAIN("cpu", TEST(test_cpu__the_best_set_is_chosen_or_the_one_wished),
    TEST(test_cpu__the_loop_over_sets_has_those_of_the_machine),
    TEST(test_cpu__threads_are_pinned_to_cores_of_the_process),
    TEST(test_cpu__denormals_are_flushed_on_the_calling_thread),
    TEST(test_cpu__the_model_has_a_name))
