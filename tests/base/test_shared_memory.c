#include "support/support.h"

#include "base/shared_memory.h"

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define SIZE ((size_t)3 << 20)

/* What another process does with the memory: 0 where it found what it should. */
static int visit(struct shared_memory_key key) {
    struct shared_memory memory;
    if (shared_memory_open(&memory, &key, SIZE) != STATUS_OK) {
        return 1;
    }
    int wrong = memory.base[0] != 7 || memory.base[SIZE - 1] != 9;
    wrong += shared_memory_reserve(&memory, 5000, SIZE - 5000) != STATUS_OK;
    memory.base[4096] = 11;
    shared_memory_release(&memory);
    return wrong;
}

static void test_shared_memory__is_one_for_two_processes(void) {
    struct shared_memory memory;
    CU_ASSERT_EQUAL_FATAL(shared_memory_create(&memory, SIZE), STATUS_OK);
    CU_ASSERT_EQUAL(shared_memory_reserve(&memory, 0, SIZE), STATUS_OK);
    for (size_t i = 0; i < SIZE; i += 4096) {
        CU_ASSERT_EQUAL(memory.base[i], 0);
    }
    memory.base[0] = 7;
    memory.base[SIZE - 1] = 9;
    struct shared_memory_key key = shared_memory_get_key(&memory);
    pid_t child = fork();
    if (child == 0) {
        _exit(visit(key));
    }
    int state = -1;
    CU_ASSERT_EQUAL(waitpid(child, &state, 0), child);
    CU_ASSERT_TRUE(WIFEXITED(state) && WEXITSTATUS(state) == 0);
    CU_ASSERT_EQUAL(memory.base[4096], 11);
    shared_memory_release(&memory);
    CU_ASSERT_PTR_NULL(memory.base);
}

/* What other processes wrote stays when pages become huge, and whoever maps it sees it. */
static void test_shared_memory__keeps_what_is_there(void) {
    struct shared_memory memory, again;
    CU_ASSERT_EQUAL_FATAL(shared_memory_create(&memory, 3 * SIZE), STATUS_OK);
    memset(memory.base, 5, 3 * SIZE);
    const struct shared_memory_key key = shared_memory_get_key(&memory);
    CU_ASSERT_EQUAL_FATAL(shared_memory_open(&again, &key, 3 * SIZE), STATUS_OK);
    CU_ASSERT_EQUAL(again.base[SIZE], 5);
    CU_ASSERT_EQUAL(shared_memory_reserve(&memory, 4096, 3 * SIZE - 4096), STATUS_OK);
    CU_ASSERT_EQUAL(shared_memory_reserve(&again, 0, 3 * SIZE), STATUS_OK);
    again.base[SIZE] = 6;
    size_t wrong = 0;
    for (size_t i = 0; i < 3 * SIZE; i++) {
        wrong += memory.base[i] != (i == SIZE ? 6 : 5);
    }
    CU_ASSERT_EQUAL(wrong, 0);
    shared_memory_release(&again);
    shared_memory_release(&memory);
}

static void test_shared_memory__says_what_is_not_to_be_had(void) {
    struct shared_memory memory;
    const struct shared_memory_key nobody = {.process = 0, .file = 3};
    TEST_ASSERT_FAILS(shared_memory_open(&memory, &nobody, SIZE), "process 0");
    TEST_ASSERT_FAILS(shared_memory_create(&memory, (size_t)1 << 62), "shared memory");
    CU_ASSERT_PTR_NULL(memory.base);
    shared_memory_release(&memory);
}

TEST_MAIN("shared_memory", TEST(test_shared_memory__is_one_for_two_processes),
    TEST(test_shared_memory__keeps_what_is_there),
    TEST(test_shared_memory__says_what_is_not_to_be_had))
