#include "base/status.h"
#include "support/support.h"

#include <pthread.h>
#include <string.h>

static status fail(int value) {
    FAIL(STATUS_INPUT, "value %d is above %d", value, 9);
}
static status pass_on(int value) {
    TRY(fail(value));
    return STATUS_OK;
}
static status clean_up(bool *cleaned, int value) {
    status result;
    TRY_TO(done, result, pass_on(value));
done:
    *cleaned = true;
    return result;
}

static void test_status__a_failure_keeps_message_and_trace(void) {
    bool cleaned = false;
    CU_ASSERT_EQUAL(clean_up(&cleaned, 12), STATUS_INPUT);
    CU_ASSERT_TRUE(cleaned);
    CU_ASSERT_STRING_EQUAL(status_message(), "value 12 is above 9");
    const char *trace = status_trace_text();
    const char *first = strstr(trace, " fail"), *second = strstr(trace, " pass_on");
    const char *third = strstr(trace, " clean_up");
    CU_ASSERT_TRUE(first != NULL && second > first && third > second);
    CU_ASSERT_EQUAL(fail(13), STATUS_INPUT); /* a new failure starts a new trace */
    CU_ASSERT_PTR_NULL(strstr(status_trace_text(), "pass_on"));
}

static void test_status__prefixes_and_own_messages_as_arguments(void) {
    CU_ASSERT_EQUAL(status_prefix(fail(10), "file %d", 3), STATUS_INPUT);
    CU_ASSERT_STRING_EQUAL(status_message(), "file 3: value 10 is above 9");
    CU_ASSERT_EQUAL(
        status_fail(STATUS_PEER, "f", 1, "g", "rank 2: %s", status_message()), STATUS_PEER);
    CU_ASSERT_STRING_EQUAL(status_message(), "rank 2: file 3: value 10 is above 9");
    char longest[3000];
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    status_fail(STATUS_INPUT, "f", 1, "g", "%s", longest);
    CU_ASSERT_TRUE(strlen(status_message()) < 2000);
    for (int i = 0; i < 500; i++) {
        status_trace(STATUS_INPUT, "some/file.c", i, "function");
    }
    status_prefix(STATUS_INPUT, "%s", longest);
    CU_ASSERT_TRUE(strlen(status_message()) < 2000);
}

struct carried {
    status code;
    char message[200];
};
static void *fail_elsewhere(void *context) {
    struct carried *carried = context;
    carried->code = fail(99);
    status_message_copy(carried->message, sizeof carried->message);
    return NULL;
}

static void test_status__messages_belong_to_threads_and_can_be_carried(void) {
    fail(10);
    struct carried carried;
    pthread_t thread;
    CU_ASSERT_EQUAL_FATAL(pthread_create(&thread, NULL, fail_elsewhere, &carried), 0);
    pthread_join(thread, NULL);
    CU_ASSERT_STRING_EQUAL(status_message(), "value 10 is above 9");
    CU_ASSERT_EQUAL(status_adopt(carried.code, carried.message), STATUS_INPUT);
    CU_ASSERT_STRING_EQUAL(status_message(), "value 99 is above 9");
    CU_ASSERT_STRING_EQUAL(status_name(STATUS_INPUT), "input");
}

TEST_MAIN("status", TEST(test_status__a_failure_keeps_message_and_trace),
    TEST(test_status__prefixes_and_own_messages_as_arguments),
    TEST(test_status__messages_belong_to_threads_and_can_be_carried))
