#include "io/checkpoint.h"
#include "support/support.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* Stands before libc's: a file system without hard links. */
static bool no_links;
int link(const char *from, const char *to) {
    if (no_links) {
        errno = EPERM;
        return -1;
    }
    return linkat(-100 /* AT_FDCWD */, from, -100, to, 0);
}

enum { VALUES = 250 };
static const struct safetensors_entry entry = {"w", SAFETENSORS_I64, 1, {VALUES}, 8 * VALUES};

static status fill(void *context, int index, void *out) {
    (void)index;
    for (int i = 0; i < VALUES; i++) {
        ((int64_t *)out)[i] = *(int64_t *)context + i;
    }
    return STATUS_OK;
}

static char *join(const char *folder, const char *name) {
    char *path;
    CU_ASSERT_EQUAL_FATAL(path_join(&path, folder, name), STATUS_OK);
    return path;
}

static char *path_of(const char *run, int64_t step) {
    char *path;
    CU_ASSERT_EQUAL_FATAL(checkpoint_path(&path, run, step), STATUS_OK);
    return path;
}

static status save(const char *run, int64_t step) {
    char *path = path_of(run, step);
    status result = safetensors_write(path, &entry, 1, NULL, 0, fill, &step);
    free(path);
    return result;
}

/* A run folder with checkpoints of these steps, -1 at the end. */
static const char *make_run(int64_t step, ...) {
    const char *run = test_folder();
    char *folder = join(run, "checkpoints");
    CU_ASSERT_EQUAL_FATAL(folder_make(folder), STATUS_OK);
    free(folder);
    va_list more;
    va_start(more, step);
    for (; step >= 0; step = va_arg(more, int64_t)) {
        CU_ASSERT_EQUAL_FATAL(save(run, step), STATUS_OK);
    }
    va_end(more);
    return run;
}

#define STEP(n) ((int64_t)(n))
#define END     ((int64_t)-1)

/* The names in RUN/checkpoints in one text, "step-" and ".safetensors" left out. */
static const char *listing(const char *run) {
    static char text[1024];
    char *folder = join(run, "checkpoints"), **names;
    size_t count, used = 0;
    CU_ASSERT_EQUAL_FATAL(folder_names(&names, &count, folder), STATUS_OK);
    text[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        char *name = names[i], *end = strstr(name, ".safetensors");
        if (end != NULL && end[strlen(".safetensors")] == '\0') {
            *end = '\0';
        }
        name += strncmp(name, "step-", 5) == 0 ? 5 + strspn(name + 5, "0") : 0;
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%s", i > 0 ? " " : "", name);
    }
    folder_names_release(names, count);
    free(folder);
    return text;
}

struct seen {
    int count;
    char last[512];
};

static void note(void *context, const char *path, const char *reason) {
    struct seen *seen = context;
    seen->count++;
    snprintf(seen->last, sizeof seen->last, "%s: %s", path, reason);
}

/* The step of the latest that verifies, by what is in it; -1: none. */
static int64_t latest(struct seen *seen, const char *run) {
    struct safetensors_file *file;
    char *path;
    *seen = (struct seen){0};
    status result = checkpoint_open_latest(&file, &path, run, note, seen);
    if (result != STATUS_OK) {
        CU_ASSERT_EQUAL(result, STATUS_NOT_FOUND);
        CU_ASSERT_PTR_NULL(file);
        CU_ASSERT_PTR_NULL(path);
        return -1;
    }
    int64_t values[VALUES];
    CU_ASSERT_EQUAL(safetensors_read(file, 0, values), STATUS_OK);
    int64_t step = values[0];
    char *expected = path_of(run, step);
    CU_ASSERT_STRING_EQUAL(path, expected);
    free(expected);
    free(path);
    safetensors_close(file);
    return step;
}

static void test_checkpoint__is_named_by_its_step(void) {
    const char *run = test_folder();
    char *path = path_of(run, 1234), *folder = join(run, "checkpoints");
    CU_ASSERT_STRING_EQUAL(path + strlen(run), "/checkpoints/step-000001234.safetensors");
    CU_ASSERT_TRUE(folder_exists(folder));
    free(path);
    free(folder);
    path = path_of(run, 12345678901);
    CU_ASSERT_STRING_EQUAL(path + strlen(run), "/checkpoints/step-12345678901.safetensors");
    free(path);
}

static void test_checkpoint__latest_is_by_number_not_by_name(void) {
    struct seen seen;
    const char *run = make_run(STEP(999999999), STEP(1000000000), STEP(5), END);
    CU_ASSERT_EQUAL(latest(&seen, run), 1000000000);
    CU_ASSERT_EQUAL(seen.count, 0);
}

static void test_checkpoint__none_is_not_found(void) {
    struct seen seen;
    CU_ASSERT_EQUAL(latest(&seen, test_folder()), -1);
    CU_ASSERT_EQUAL(latest(&seen, make_run(END)), -1);
}

static void test_checkpoint__names_of_others_do_not_count(void) {
    struct seen seen;
    const char *run = make_run(STEP(3), END);
    static const char *const others[] = {"step-9.safetensors", "step-000000009.safetensors.old",
        "step-+00000009.safetensors", "step--00000009.safetensors", "step-0000000009.safetensors",
        "step-000000009", "best.safetensors", "step-99999999999999999999.safetensors"};
    char *source = path_of(run, 3);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        char below[128];
        snprintf(below, sizeof below, "checkpoints/%s", others[i]);
        char *path = join(run, below);
        CU_ASSERT_EQUAL(link(source, path), 0);
        free(path);
    }
    CU_ASSERT_EQUAL(latest(&seen, run), 3);
    CU_ASSERT_EQUAL(checkpoint_retain(run, 10, 1, -1), STATUS_OK);
    CU_ASSERT_EQUAL(latest(&seen, run), 3);
    CU_ASSERT_PTR_NOT_NULL(strstr(listing(run), "9.safetensors.old"));
    free(source);
}

static void test_checkpoint__a_damaged_one_is_named_and_the_one_before_taken(void) {
    struct seen seen;
    const char *run = make_run(STEP(10), STEP(20), STEP(30), END);
    char *path = path_of(run, 30);
    struct stat about;
    CU_ASSERT_EQUAL(stat(path, &about), 0);
    FILE *file = fopen(path, "r+b");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    setbuf(file, NULL);
    for (int i = 0; i < 200; i++) {
        long place = test_random_between(0, (int)about.st_size - 1);
        int flip = 1 << test_random_between(0, 7);
        fseek(file, place, SEEK_SET);
        int old = fgetc(file);
        fseek(file, place, SEEK_SET);
        fputc(old ^ flip, file);
        CU_ASSERT_EQUAL(latest(&seen, run), 20);
        CU_ASSERT_EQUAL(seen.count, 1);
        CU_ASSERT_EQUAL(strncmp(seen.last, path, strlen(path)), 0);
        fseek(file, place, SEEK_SET);
        fputc(old, file);
    }
    CU_ASSERT_EQUAL(latest(&seen, run), 30);
    fclose(file);
    for (off_t size = about.st_size - 1; size >= 0; size -= size < 40 ? 1 : 37) {
        CU_ASSERT_EQUAL(truncate(path, size), 0);
        CU_ASSERT_EQUAL(latest(&seen, run), 20);
    }
    CU_ASSERT_TRUE(file_exists(path)); /* left in place */
    free(path);
    path = path_of(run, 20);
    CU_ASSERT_EQUAL(truncate(path, 100), 0);
    CU_ASSERT_EQUAL(latest(&seen, run), 10);
    CU_ASSERT_EQUAL(seen.count, 2);
    free(path);
    path = path_of(run, 10);
    CU_ASSERT_EQUAL(truncate(path, 0), 0);
    CU_ASSERT_EQUAL(latest(&seen, run), -1);
    CU_ASSERT_EQUAL(seen.count, 3);
    free(path);
}

static void test_checkpoint__opens_a_file_a_run_and_its_folder(void) {
    const char *run = make_run(STEP(10), STEP(20), END);
    char *second = path_of(run, 20), *first = path_of(run, 10), *folder = join(run, "checkpoints");
    const char *const given[] = {first, run, folder};
    const char *const expected[] = {first, second, second};
    struct safetensors_file *file;
    char *found;
    for (int i = 0; i < 3; i++) {
        CU_ASSERT_EQUAL_FATAL(checkpoint_open(&file, &found, given[i], NULL, NULL), STATUS_OK);
        CU_ASSERT_STRING_EQUAL(found, expected[i]);
        safetensors_close(file);
        free(found);
    }
    CU_ASSERT_EQUAL(truncate(first, 50), 0);
    CU_ASSERT_EQUAL(checkpoint_open(&file, &found, first, NULL, NULL), STATUS_INPUT);
    CU_ASSERT_PTR_NULL(file);
    CU_ASSERT_EQUAL(checkpoint_open(&file, &found, "none", NULL, NULL), STATUS_NOT_FOUND);
    CU_ASSERT_EQUAL(checkpoint_open(&file, &found, "/proc/self", NULL, NULL), STATUS_NOT_FOUND);
    free(first);
    free(second);
    free(folder);
}

static void test_checkpoint__retention_keeps_the_newest_and_the_best(void) {
    const char *run = make_run(STEP(10), STEP(20), STEP(30), STEP(40), STEP(50), END);
    CU_ASSERT_EQUAL(checkpoint_retain(run, 50, 0, -1), STATUS_OK);
    CU_ASSERT_STRING_EQUAL(listing(run), "10 20 30 40 50");
    CU_ASSERT_EQUAL(checkpoint_retain(run, 50, 9, -1), STATUS_OK);
    CU_ASSERT_STRING_EQUAL(listing(run), "10 20 30 40 50");
    CU_ASSERT_EQUAL(checkpoint_retain(run, 50, 2, 20), STATUS_OK);
    CU_ASSERT_STRING_EQUAL(listing(run), "20 40 50");
    CU_ASSERT_EQUAL(checkpoint_retain(run, 50, 1, -1), STATUS_OK);
    CU_ASSERT_STRING_EQUAL(listing(run), "50");
}

static void test_checkpoint__retention_never_trades_good_ones_for_damaged_newer_ones(void) {
    const char *run = make_run(STEP(10), STEP(20), STEP(90), STEP(100), END);
    CU_ASSERT_EQUAL(save(run, 30), STATUS_OK); /* resumed from 20, since 90 and 100 are damaged */
    CU_ASSERT_EQUAL(checkpoint_retain(run, 30, 2, -1), STATUS_OK);
    CU_ASSERT_STRING_EQUAL(listing(run), "20 30 90 100");
}

static void test_checkpoint__retention_clears_temporary_files_of_killed_jobs(void) {
    const char *run = make_run(STEP(10), END);
    char *stays = join(run, "checkpoints/my.tmp-files"), *path = path_of(run, 20);
    struct atomic_file file;
    CU_ASSERT_EQUAL_FATAL(atomic_file_open(&file, path), STATUS_OK); /* ... and killed here */
    FILE *other = fopen(stays, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(other);
    fclose(other);
    CU_ASSERT_EQUAL(checkpoint_retain(run, 10, 0, -1), STATUS_OK);
    CU_ASSERT_FALSE(file_exists(file.temporary));
    CU_ASSERT_STRING_EQUAL(listing(run), "my.tmp-files 10");
    atomic_file_abandon(&file);
    free(stays);
    free(path);
}

static bool same_bytes(const char *a, const char *b) {
    void *x, *y;
    size_t x_size, y_size;
    CU_ASSERT_EQUAL_FATAL(file_read(&x, &x_size, a, 1 << 20), STATUS_OK);
    CU_ASSERT_EQUAL_FATAL(file_read(&y, &y_size, b, 1 << 20), STATUS_OK);
    bool same = x_size == y_size && memcmp(x, y, x_size) == 0;
    free(x);
    free(y);
    return same;
}

static void test_checkpoint__best_is_a_link_or_a_copy(void) {
    const char *run = make_run(STEP(10), STEP(20), END);
    char *best = join(run, "checkpoints/best.safetensors");
    char *paths[] = {path_of(run, 10), path_of(run, 20)};
    for (int copies = 0; copies < 2; copies++) {
        no_links = copies;
        for (int i = 0; i < 4; i++) { /* each twice: a rename onto itself leaves both names */
            struct stat about;
            CU_ASSERT_EQUAL(checkpoint_mark_best(run, i < 2 ? 10 : 20), STATUS_OK);
            CU_ASSERT_TRUE(same_bytes(best, paths[i / 2]));
            CU_ASSERT_EQUAL(stat(best, &about), 0);
            CU_ASSERT_EQUAL(about.st_nlink, copies ? 1 : 2);
            CU_ASSERT_STRING_EQUAL(listing(run), "best 10 20");
        }
        CU_ASSERT_EQUAL(checkpoint_mark_best(run, 30), copies ? STATUS_SYSTEM : STATUS_NOT_FOUND);
        CU_ASSERT_STRING_EQUAL(listing(run), "best 10 20");
        CU_ASSERT_EQUAL(unlink(best), 0);
    }
    no_links = false;
    free(best);
    free(paths[0]);
    free(paths[1]);
}

static void test_checkpoint__best_outlives_retention(void) {
    struct seen seen;
    const char *run = make_run(STEP(10), STEP(20), END);
    char *best = join(run, "checkpoints/best.safetensors");
    CU_ASSERT_EQUAL(checkpoint_mark_best(run, 10), STATUS_OK);
    CU_ASSERT_EQUAL(checkpoint_retain(run, 20, 1, -1), STATUS_OK);
    CU_ASSERT_STRING_EQUAL(listing(run), "best 20");
    struct safetensors_file *file;
    char *found;
    CU_ASSERT_EQUAL_FATAL(checkpoint_open(&file, &found, best, NULL, NULL), STATUS_OK);
    CU_ASSERT_EQUAL(safetensors_verify(file), STATUS_OK);
    safetensors_close(file);
    free(found);
    free(best);
    CU_ASSERT_EQUAL(latest(&seen, run), 20);
}

/* Wherever in the file the disk runs full. */
static void test_checkpoint__a_full_disk_loses_only_the_new_one(void) {
    struct seen seen;
    const char *run = make_run(STEP(10), END);
    struct rlimit before;
    struct stat about;
    char *path = path_of(run, 10);
    CU_ASSERT_EQUAL(stat(path, &about), 0);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before);
    for (off_t room = 0; room < about.st_size; room += 97) {
        struct rlimit small = {(rlim_t)room, before.rlim_max};
        setrlimit(RLIMIT_FSIZE, &small);
        status again = save(run, 10), next = save(run, 20);
        setrlimit(RLIMIT_FSIZE, &before);
        CU_ASSERT_EQUAL(again, STATUS_SYSTEM);
        CU_ASSERT_EQUAL(next, STATUS_SYSTEM);
        test_assert_message("cannot write ", __FILE__, __LINE__);
        CU_ASSERT_EQUAL(latest(&seen, run), 10);
        CU_ASSERT_STRING_EQUAL(listing(run), "10");
    }
    CU_ASSERT_EQUAL(save(run, 20), STATUS_OK);
    CU_ASSERT_EQUAL(latest(&seen, run), 20);
    free(path);
}

static void test_checkpoint__a_real_full_disk_loses_only_the_new_one(void) {
    struct seen seen;
    const char *run = test_folder();
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("tmpfs", run, "tmpfs", 0, "size=32k") != 0) {
        printf("skipped: may not mount a small disk ");
        CU_PASS("skipped");
        return;
    }
    char *folder = join(run, "checkpoints");
    CU_ASSERT_EQUAL_FATAL(folder_make(folder), STATUS_OK);
    int64_t step = 1;
    while (step < 100 && save(run, step) == STATUS_OK) {
        step++;
    }
    CU_ASSERT_TRUE(step > 2 && step < 100);
    test_assert_message("No space left on device", __FILE__, __LINE__);
    CU_ASSERT_EQUAL(latest(&seen, run), step - 1);
    CU_ASSERT_EQUAL(seen.count, 0);
    CU_ASSERT_PTR_NULL(strstr(listing(run), "tmp"));
    CU_ASSERT_EQUAL(checkpoint_retain(run, step - 1, 1, -1), STATUS_OK);
    CU_ASSERT_EQUAL(save(run, step), STATUS_OK);
    CU_ASSERT_EQUAL(umount(run), 0);
    free(folder);
}

/* Root may write anywhere, so nobody tries. */
static void test_checkpoint__a_read_only_folder_is_a_clear_failure(void) {
    struct seen seen;
    const char *run = make_run(STEP(5), STEP(10), END);
    char *folder = join(run, "checkpoints");
    CU_ASSERT_EQUAL(chmod(run, 0755), 0);
    CU_ASSERT_EQUAL(chmod(folder, 0555), 0);
    bool root = geteuid() == 0;
    CU_ASSERT_EQUAL_FATAL(root ? seteuid(65534) : 0, 0);
    status saved = save(run, 20);
    char message[1024];
    status_message_copy(message, sizeof message);
    status best = checkpoint_mark_best(run, 10);
    status deleted = checkpoint_retain(run, 10, 1, -1);
    CU_ASSERT_EQUAL(latest(&seen, run), 10);
    CU_ASSERT_EQUAL(root ? seteuid(0) : 0, 0);
    CU_ASSERT_EQUAL(saved, STATUS_SYSTEM);
    CU_ASSERT_PTR_NOT_NULL(strstr(message, "000000020.safetensors: Permission denied"));
    CU_ASSERT_EQUAL(best, STATUS_SYSTEM);
    CU_ASSERT_EQUAL(deleted, STATUS_SYSTEM);
    test_assert_message("cannot delete ", __FILE__, __LINE__);
    CU_ASSERT_STRING_EQUAL(listing(run), "5 10");
    CU_ASSERT_EQUAL(chmod(folder, 0755), 0);
    free(folder);
}

TEST_MAIN("checkpoint", TEST(test_checkpoint__is_named_by_its_step),
    TEST(test_checkpoint__latest_is_by_number_not_by_name),
    TEST(test_checkpoint__none_is_not_found), TEST(test_checkpoint__names_of_others_do_not_count),
    TEST(test_checkpoint__a_damaged_one_is_named_and_the_one_before_taken),
    TEST(test_checkpoint__opens_a_file_a_run_and_its_folder),
    TEST(test_checkpoint__retention_keeps_the_newest_and_the_best),
    TEST(test_checkpoint__retention_never_trades_good_ones_for_damaged_newer_ones),
    TEST(test_checkpoint__retention_clears_temporary_files_of_killed_jobs),
    TEST(test_checkpoint__best_is_a_link_or_a_copy), TEST(test_checkpoint__best_outlives_retention),
    TEST(test_checkpoint__a_full_disk_loses_only_the_new_one),
    TEST(test_checkpoint__a_real_full_disk_loses_only_the_new_one),
    TEST(test_checkpoint__a_read_only_folder_is_a_clear_failure))
