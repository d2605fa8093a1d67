#include "base/memory.h"
#include "support/support.h"
#include "trainer/run_folder.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Works in a fresh folder, as a user who stands there. */
static char *enter(void) {
    char *before = getcwd(NULL, 0);
    CU_ASSERT_EQUAL_FATAL(chdir(test_folder()), 0);
    return before;
}

static void leave(char *before) {
    CU_ASSERT_EQUAL_FATAL(chdir(before), 0);
    free(before);
}

static void open_and_check(const char *wanted, bool resume, const char *expected) {
    struct run_folder folder;
    CU_ASSERT_EQUAL_FATAL(run_folder_open(&folder, wanted, "configs/a.b.yaml", resume), STATUS_OK);
    CU_ASSERT_STRING_EQUAL(folder.path, expected);
    CU_ASSERT_TRUE(folder_exists(expected));
    run_folder_release(&folder);
}

static void test_run_folder__is_named_after_the_recipe_and_numbered(void) {
    char *before = enter();
    open_and_check(NULL, true, "runs/a.b");
    open_and_check(NULL, false, "runs/a.b-2");
    open_and_check(NULL, false, "runs/a.b-3");
    open_and_check(NULL, true, "runs/a.b-3");
    leave(before);
}

static void test_run_folder__refuses_one_that_holds_a_run(void) {
    char *before = enter();
    struct run_folder folder;
    open_and_check("mine/deep", false, "mine/deep");
    open_and_check("mine/deep", false, "mine/deep"); /* nothing lies there yet */
    CU_ASSERT_EQUAL(folder_make("mine/deep/checkpoints"), STATUS_OK);
    TEST_ASSERT_FAILS(run_folder_open(&folder, "mine/deep", "r.yaml", false), "--resume");
    open_and_check("mine/deep", true, "mine/deep");
    leave(before);
}

static void test_run_folder__is_locked_while_open(void) {
    char *before = enter();
    struct run_folder first, second;
    CU_ASSERT_EQUAL_FATAL(run_folder_open(&first, "mine", "r.yaml", false), STATUS_OK);
    CU_ASSERT_EQUAL(run_folder_open(&second, "mine", "r.yaml", true), STATUS_USAGE);
    test_assert_message("mine", __FILE__, __LINE__);
    run_folder_release(&first);
    open_and_check("mine", true, "mine");
    leave(before);
}

TEST_MAIN("run_folder", TEST(test_run_folder__is_named_after_the_recipe_and_numbered),
    TEST(test_run_folder__refuses_one_that_holds_a_run),
    TEST(test_run_folder__is_locked_while_open))
