/* What every CUnit program of Convoy shares: a list of tests, a printed seed, a main.
 *
 * A test file defines its tests as void functions named test_<unit>__<what holds> and ends with
 *
 *     TEST_MAIN("unit", TEST(test_unit__holds), TEST(test_unit__refuses))
 */
#ifndef TESTS_SUPPORT_SUPPORT_H
#define TESTS_SUPPORT_SUPPORT_H

#include <CUnit/CUnit.h>
#include <stdbool.h>
#include <stdint.h>

struct test {
    const char *name;
    void (*run)(void);
};

#define TEST(function)                                                                             \
    { #function, function }
#define TEST_MAIN(suite, ...)                                                                      \
    int main(void) {                                                                               \
        const struct test tests[] = {__VA_ARGS__};                                                 \
        return test_main(suite, tests, (int)(sizeof tests / sizeof tests[0]));                     \
    }

/* Runs the tests and prints the seed and one line a failure; returns the exit code (0 or 1). */
int test_main(const char *suite, const struct test *tests, int count);

/* The seed of this run: CONVOY_TEST_SEED if set, else fixed; printed at the start. */
uint64_t test_seed(void);

/* The next 32 random bits of the test's own generator (seeded by test_seed, never Convoy's). */
uint32_t test_random(void);

/* A whole number in [low, high], both included. */
int test_random_between(int low, int high);

/* A fresh empty folder below the system's temporary folder; removed again when the program ends.
 * The string lives until the program ends. */
const char *test_folder(void);

/* Asserts that `call` fails and that the message of the failure holds `text`. */
#define TEST_ASSERT_FAILS(call, text)                                                              \
    do {                                                                                           \
        CU_ASSERT_NOT_EQUAL((call), STATUS_OK);                                                    \
        test_assert_message(text, __FILE__, __LINE__);                                             \
    } while (0)
void test_assert_message(const char *text, const char *file, int line);

#endif
