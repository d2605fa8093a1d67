#include "io/file.h"
#include "io/log_state.h"
#include "support/support.h"

#include <fcntl.h>
#include <math.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <termios.h>
#include <unistd.h>

/* What the console gets: between capture and captured, stderr is a terminal or a pipe. */
static int saved, reader;

static void capture(bool terminal, int columns) {
    int ends[2];
    fflush(stderr);
    if (terminal) {
        struct termios raw;
        struct winsize size = {.ws_row = 24, .ws_col = (unsigned short)columns};
        CU_ASSERT_EQUAL_FATAL(openpty(&ends[0], &ends[1], NULL, NULL, &size), 0);
        tcgetattr(ends[1], &raw);
        cfmakeraw(&raw);
        tcsetattr(ends[1], TCSANOW, &raw);
    } else {
        CU_ASSERT_EQUAL_FATAL(pipe(ends), 0);
    }
    saved = dup(STDERR_FILENO);
    dup2(ends[1], STDERR_FILENO);
    close(ends[1]);
    reader = ends[0];
    fcntl(reader, F_SETFL, O_NONBLOCK);
}

static const char *captured(void) {
    static char text[65536];
    size_t used = 0;
    for (ssize_t got; (got = read(reader, text + used, sizeof text - 1 - used)) > 0;) {
        used += (size_t)got;
    }
    text[used] = '\0';
    dup2(saved, STDERR_FILENO);
    close(saved);
    close(reader);
    return text;
}

static void assert_captured(const char *expected) {
    const char *found = captured();
    CU_ASSERT_STRING_EQUAL(found, expected);
    if (strcmp(found, expected) != 0) {
        printf("\n  found:    %s\n  expected: %s\n", found, expected);
    }
}

static int count_of(const char *text, char which) {
    int count = 0;
    for (; *text != '\0'; text++) {
        count += *text == which;
    }
    return count;
}

static struct log *open_log(const char *run, bool resume, bool quiet) {
    struct log *log;
    CU_ASSERT_EQUAL_FATAL(log_open(&log, run, resume, quiet), STATUS_OK);
    return log;
}

static const struct log_progress unknown = {-1, -1, -1, -1, -1, -1, -1, -1};
static struct log_progress at_step(int64_t step) {
    struct log_progress progress = unknown;
    progress.step = step;
    progress.steps = 5000;
    return progress;
}

static void test_log__terminal_redraws_the_progress_line(void) {
    capture(true, 80);
    struct log *log = open_log(NULL, false, false);
    log->redraw_seconds = 0;
    log_progress(log, &(struct log_progress){2, 5, 1234, 5000, 0.43214, 0.05, 1234.4, 200});
    log_progress(log, &(struct log_progress){2, 5, 1235, 5000, 0.4, 0.05, 9.96, 7});
    log_line(log, "said %d", 1);
    struct log_progress next = at_step(1236);
    log_progress(log, &next);
    log_progress_end(log);
    log_progress_end(log);
    log_line(log, "done");
    log_close(log);
    assert_captured("\repoch 2/5  step 1,234/5,000  loss 0.4321  3 min 20 s left"
                    "  1,234 pictures/s\033[K" /* the rate has no room */
                    "\repoch 2/5  step 1,235/5,000  loss 0.4000  7 s left"
                    "  10 pictures/s  rate 0.05\033[K"
                    "\r\033[Ksaid 1\n"
                    "\rstep 1,236/5,000\033[K\n"
                    "done\n");
}

static void test_log__terminal_is_redrawn_at_a_humane_rate(void) {
    capture(true, 80);
    struct log *log = open_log(NULL, false, false);
    for (int i = 1; i <= 1000; i++) {
        struct log_progress progress = at_step(i);
        log_progress(log, &progress);
    }
    log_close(log);
    const char *text = captured();
    CU_ASSERT_TRUE(count_of(text, '\r') < 10);
    CU_ASSERT_EQUAL(count_of(text, '\n'), 1);
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "step 1/5,000"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "\rstep 1,000/5,000\033[K\n")); /* ends with the newest */
}

static void test_log__a_line_never_wraps(void) {
    capture(true, 12);
    struct log *log = open_log(NULL, false, false);
    struct log_progress progress = at_step(1234);
    log_progress(log, &progress);
    log_close(log);
    assert_captured("\rstep 1,234/\033[K\n");
}

static void test_log__plain_output_has_no_escape_codes(void) {
    for (int kind = 0; kind < 2; kind++) { /* a pipe, a dumb terminal */
        setenv("TERM", kind == 0 ? "xterm" : "dumb", 1);
        capture(kind == 1, 80);
        struct log *log = open_log(NULL, false, false);
        for (int i = 1; i <= 1000; i++) {
            struct log_progress progress = at_step(i);
            log_progress(log, &progress);
        }
        log_line(log, "said");
        log_warning(log, "careful");
        log_progress_end(log);
        log_count(log, "importing", 12345, 60000);
        log_count(log, "importing", 12346, 60000);
        log_count(log, "importing", 60000, 60000);
        log_close(log);
        assert_captured("step 1/5,000\nsaid\nwarning: careful\nimporting: 12,345 of 60,000\n"
                        "importing: 60,000 of 60,000\n");
    }
    setenv("TERM", "xterm", 1);
}

static void test_log__plain_lines_come_again_after_a_while(void) {
    capture(false, 0);
    struct log *log = open_log(NULL, false, false);
    CU_ASSERT_EQUAL(log->plain_seconds, 10);
    log->plain_seconds = 0.02;
    struct log_progress progress = at_step(1);
    log_progress(log, &progress);
    progress = at_step(2);
    log_progress(log, &progress);
    usleep(30000);
    progress = at_step(3);
    log_progress(log, &progress);
    log_close(log);
    assert_captured("step 1/5,000\nstep 3/5,000\n");
}

static void test_log__colours_unless_no_color(void) {
    static const char *const values[] = {NULL, "", "1"};
    for (int i = 0; i < 3; i++) {
        if (values[i] != NULL) {
            setenv("NO_COLOR", values[i], 1);
        }
        capture(true, 80);
        struct log *log = open_log(NULL, false, false);
        log_warning(log, "careful");
        struct log_progress progress = at_step(1);
        log_progress(log, &progress); /* redrawing is no colour */
        log_close(log);
        assert_captured(i < 2 ? "\033[33mwarning:\033[0m careful\n\rstep 1/5,000\033[K\n"
                              : "warning: careful\n\rstep 1/5,000\033[K\n");
    }
    unsetenv("NO_COLOR");
}

static void test_log__unknown_figures_are_left_out(void) {
    capture(false, 0);
    struct log *log = open_log(NULL, false, false);
    log->plain_seconds = 0;
    struct log_progress progress = unknown;
    progress.epoch = 3;
    progress.loss = NAN;
    log_progress(log, &progress);
    progress = unknown;
    progress.step = 7;
    progress.pictures_per_second = 0.123;
    progress.seconds_left = INFINITY;
    log_progress(log, &progress);
    progress.pictures_per_second = INFINITY;
    progress.seconds_left = 100000;
    log_progress(log, &progress);
    log_count(log, "reading", 1, 0);
    log_close(log);
    assert_captured("epoch 3  loss nan\nstep 7  0.12 pictures/s\nstep 7  1 d 3 h left  inf "
                    "pictures/s\nreading: 1\n");
}

static void test_log__quiet_says_warnings_only(void) {
    const char *run = test_folder();
    capture(false, 0);
    struct log *log = open_log(run, false, true);
    log_line(log, "said");
    log_warning(log, "careful");
    struct log_progress progress = at_step(1);
    log_progress(log, &progress);
    log_count(log, "importing", 5, 5);
    log_close(log);
    assert_captured("warning: careful\n");
}

static void test_log__control_characters_do_not_reach_the_terminal(void) {
    capture(false, 0);
    struct log *log = open_log(NULL, false, false);
    log_line(log, "%s",
        "a\033[2Jb\rc\x7f\xc2\x9b"
        "d \xc3\xa4\nnext");
    log_count(log, "a\033b", 1, 1);
    log_close(log);
    assert_captured("a?[2Jb?c???d \xc3\xa4\nnext\na?b: 1 of 1\n");
}

static void test_log__numbers_and_durations(void) {
    char text[32];
    CU_ASSERT_STRING_EQUAL(log_number_text(text, 0), "0");
    CU_ASSERT_STRING_EQUAL(log_number_text(text, 999), "999");
    CU_ASSERT_STRING_EQUAL(log_number_text(text, 1000), "1,000");
    CU_ASSERT_STRING_EQUAL(log_number_text(text, -1234567), "-1,234,567");
    CU_ASSERT_STRING_EQUAL(log_number_text(text, INT64_MIN), "-9,223,372,036,854,775,808");
    CU_ASSERT_STRING_EQUAL(log_duration_text(text, 0.4), "0 s");
    CU_ASSERT_STRING_EQUAL(log_duration_text(text, 59.6), "1 min 0 s");
    CU_ASSERT_STRING_EQUAL(log_duration_text(text, 3599), "59 min 59 s");
    CU_ASSERT_STRING_EQUAL(log_duration_text(text, 7500), "2 h 5 min");
    CU_ASSERT_STRING_EQUAL(log_duration_text(text, 273600), "3 d 4 h");
}

static char *read_file(const char *run, const char *name) {
    char *path;
    void *text;
    size_t size;
    CU_ASSERT_EQUAL_FATAL(path_join(&path, run, name), STATUS_OK);
    CU_ASSERT_EQUAL_FATAL(file_read(&text, &size, path, 1 << 20), STATUS_OK);
    free(path);
    return text;
}

static void write_file(const char *run, const char *name, const char *text, size_t size) {
    char path[256];
    snprintf(path, sizeof path, "%s/%s", run, name);
    FILE *out = fopen(path, "wb");
    CU_ASSERT_PTR_NOT_NULL_FATAL(out);
    CU_ASSERT_EQUAL(fwrite(text, 1, size, out), size);
    fclose(out);
}

static void assert_file(const char *run, const char *name, const char *expected) {
    char *text = read_file(run, name);
    CU_ASSERT_STRING_EQUAL(text, expected);
    free(text);
}

static void test_log__files_begin_afresh_or_go_on(void) {
    const char *run = test_folder();
    static const char *const expected[] = {"0", "1", "01"}; /* which lines are there then */
    for (int i = 0; i < 3; i++) {
        bool resume = i == 2;
        struct log *log;
        if (i == 2) { /* as after 0, then go on */
            log = open_log(run, false, true);
            log_line(log, "line 0");
            CU_ASSERT_EQUAL(log_metrics(log, "{\"step\": 0}"), STATUS_OK);
            log_close(log);
        }
        log = open_log(run, resume, true);
        log_line(log, "line %d", i > 0);
        CU_ASSERT_EQUAL(log_metrics(log, i > 0 ? "{\"step\": 1}" : "{\"step\": 0}"), STATUS_OK);
        log_close(log);
        char *text = read_file(run, "log.txt"), *metrics = read_file(run, "metrics.jsonl");
        CU_ASSERT_EQUAL(strstr(text, "line 0\n") != NULL, strchr(expected[i], '0') != NULL);
        CU_ASSERT_EQUAL(strstr(text, "line 1\n") != NULL, strchr(expected[i], '1') != NULL);
        CU_ASSERT_EQUAL(strstr(metrics, " 0}\n") != NULL, strchr(expected[i], '0') != NULL);
        CU_ASSERT_EQUAL(strstr(metrics, " 1}\n") != NULL, strchr(expected[i], '1') != NULL);
        int year, month, day, hour, minute, second, used = 0;
        CU_ASSERT_EQUAL(sscanf(text, "%4d-%2d-%2d %2d:%2d:%2d  line%n", &year, &month, &day, &hour,
                            &minute, &second, &used),
            6);
        CU_ASSERT_EQUAL(used, 25);
        free(text);
        free(metrics);
    }
    struct log *log;
    TEST_ASSERT_FAILS(log_open(&log, "/proc", false, true), "cannot write /proc/log.txt: ");
    CU_ASSERT_PTR_NULL(log);
    log_close(log);
}

static void test_log__metrics_are_cut_at_a_later_step(void) {
    const char *run = test_folder();
    static const struct {
        int64_t step;
        const char *before, *after;
    } cases[] = {
        {5, "{\"step\": 4}\n{\"x\": 1}\n{\"step\": 5}\n{\"step\": 6}\n{\"step\": 5}\n",
            "{\"step\": 4}\n{\"x\": 1}\n{\"step\": 5}\n"},
        {9, "{\"step\": 4}\n{\"step\": 5}", "{\"step\": 4}\n"},
        {9, "{\"step\": 4}\n{\"ste\n{\"step\": 5}\n", "{\"step\": 4}\n"},
        {9, "{\"step\": 4}\n\n{\"step\": 5}\n", "{\"step\": 4}\n"},
        {9, "{\"step\": 4}\n7\n", "{\"step\": 4}\n"},
        {-1, "{\"step\": 0}\n{\"step\": 5}\n", ""},
        {9, "{\"step\": 4}\n{\"step\": 9}\n", "{\"step\": 4}\n{\"step\": 9}\n"},
        {9, "", ""},
    };
    CU_ASSERT_EQUAL(log_metrics_truncate(run, 3), STATUS_OK); /* no file */
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        write_file(run, "metrics.jsonl", cases[i].before, strlen(cases[i].before));
        CU_ASSERT_EQUAL(log_metrics_truncate(run, cases[i].step), STATUS_OK);
        assert_file(run, "metrics.jsonl", cases[i].after);
    }
    write_file(run, "metrics.jsonl", "{\"step\": 4}\n\0\0\0\n", 16); /* as a crash leaves files */
    CU_ASSERT_EQUAL(log_metrics_truncate(run, 9), STATUS_OK);
    assert_file(run, "metrics.jsonl", "{\"step\": 4}\n");
}

static void test_log__a_full_disk_leaves_no_half_line(void) {
    const char *run = test_folder();
    struct rlimit before;
    getrlimit(RLIMIT_FSIZE, &before);
    signal(SIGXFSZ, SIG_IGN);
    capture(false, 0);
    struct log *log = open_log(run, false, true);
    CU_ASSERT_EQUAL(log_metrics(log, "{\"step\": 1}"), STATUS_OK);
    for (rlim_t room = 12; room < 24; room++) {
        struct rlimit small = {room, before.rlim_max};
        setrlimit(RLIMIT_FSIZE, &small);
        status result = log_metrics(log, "{\"step\": 2}");
        setrlimit(RLIMIT_FSIZE, &before);
        CU_ASSERT_EQUAL(result, STATUS_SYSTEM);
        test_assert_message("metrics.jsonl: ", __FILE__, __LINE__);
        assert_file(run, "metrics.jsonl", "{\"step\": 1}\n");
    }
    struct rlimit small = {0, before.rlim_max};
    setrlimit(RLIMIT_FSIZE, &small);
    log_line(log, "one");
    log_line(log, "two");
    setrlimit(RLIMIT_FSIZE, &before);
    CU_ASSERT_EQUAL(log_metrics(log, "{\"step\": 2}"), STATUS_OK);
    log_close(log);
    const char *text = captured();
    CU_ASSERT_PTR_NOT_NULL(strstr(text, "log.txt: File too large; going on without it\n"));
    CU_ASSERT_EQUAL(count_of(text, '\n'), 1);
    assert_file(run, "metrics.jsonl", "{\"step\": 1}\n{\"step\": 2}\n");
}

static void test_log__a_console_that_is_gone_stops_nothing(void) {
    capture(false, 0);
    signal(SIGPIPE, SIG_IGN);
    close(reader);
    struct log *log = open_log(NULL, false, false);
    log_line(log, "said");
    CU_ASSERT_EQUAL(log_metrics(log, "{}"), STATUS_OK); /* no run: nowhere to write */
    log_close(log);
    reader = open("/dev/null", O_RDONLY);
    assert_captured("");
}

int main(void) {
    setenv("TERM", "xterm", 1);
    unsetenv("NO_COLOR");
    const struct test tests[] = {
        TEST(test_log__terminal_redraws_the_progress_line),
        TEST(test_log__terminal_is_redrawn_at_a_humane_rate),
        TEST(test_log__a_line_never_wraps),
        TEST(test_log__plain_output_has_no_escape_codes),
        TEST(test_log__plain_lines_come_again_after_a_while),
        TEST(test_log__colours_unless_no_color),
        TEST(test_log__unknown_figures_are_left_out),
        TEST(test_log__quiet_says_warnings_only),
        TEST(test_log__control_characters_do_not_reach_the_terminal),
        TEST(test_log__numbers_and_durations),
        TEST(test_log__files_begin_afresh_or_go_on),
        TEST(test_log__metrics_are_cut_at_a_later_step),
        TEST(test_log__a_full_disk_leaves_no_half_line),
        TEST(test_log__a_console_that_is_gone_stops_nothing),
    };
    return test_main("log", tests, (int)(sizeof tests / sizeof tests[0]));
}
