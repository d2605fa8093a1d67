#include "support/support.h"

#include "base/status.h"

#include <CUnit/Basic.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static uint64_t state;
static char folders[64][64];
static int folder_count;

uint64_t test_seed(void) {
    const char *text = getenv("CONVOY_TEST_SEED");
    return text != NULL ? strtoull(text, NULL, 0) : 20261124;
}

uint32_t test_random(void) {
    /* Steele, Lea, Flood 2014: splitmix64. */
    uint64_t z = state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (uint32_t)((z ^ (z >> 31)) >> 32);
}

int test_random_between(int low, int high) {
    return low + (int)(((uint64_t)test_random() * (uint64_t)(high - low + 1)) >> 32);
}

static int remove_entry(const char *path, const struct stat *about, int kind, struct FTW *where) {
    (void)about, (void)kind, (void)where;
    return remove(path);
}

static void remove_folders(void) {
    for (int i = 0; i < folder_count; i++) {
        nftw(folders[i], remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    }
}

const char *test_folder(void) {
    if (folder_count == 64) {
        abort();
    }
    char *name = folders[folder_count];
    const char *above = getenv("TMPDIR");
    snprintf(name, sizeof folders[0], "%s/convoy-test-XXXXXX", above != NULL ? above : "/tmp");
    if (mkdtemp(name) == NULL) {
        perror(name);
        exit(1);
    }
    if (folder_count++ == 0) {
        atexit(remove_folders);
    }
    return name;
}

void test_assert_message(const char *text, const char *file, int line) {
    bool found = strstr(status_message(), text) != NULL;
    if (!found) {
        printf("\n  message is: %s\n  expected to hold: %s\n", status_message(), text);
    }
    CU_assertImplementation(found, (unsigned)line, "message of the failure", file, "", CU_FALSE);
}

int test_main(const char *suite_name, const struct test *tests, int count) {
    state = test_seed();
    printf("%s: seed %llu\n", suite_name, (unsigned long long)state);
    if (CU_initialize_registry() != CUE_SUCCESS) {
        return 1;
    }
    CU_pSuite suite = CU_add_suite(suite_name, NULL, NULL);
    for (int i = 0; i < count; i++) {
        if (suite == NULL || CU_add_test(suite, tests[i].name, tests[i].run) == NULL) {
            return 1;
        }
    }
    CU_basic_set_mode(CU_BRM_VERBOSE);
    CU_basic_run_tests();
    unsigned failures = CU_get_number_of_failures();
    unsigned asserts = CU_get_number_of_asserts();
    CU_cleanup_registry();
    return failures > 0 || asserts == 0;
}
