#include "io/file.h"
#include "support/support.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char *join(const char *folder, const char *name) {
    char *path;
    CU_ASSERT_EQUAL_FATAL(path_join(&path, folder, name), STATUS_OK);
    return path;
}

static status write_text(const char *path, const char *text) {
    struct atomic_file file;
    TRY(atomic_file_open(&file, path));
    status result = atomic_file_write(&file, text, strlen(text));
    if (result == STATUS_OK) {
        return atomic_file_commit(&file);
    }
    atomic_file_abandon(&file);
    return result;
}

static void assert_text(const char *path, const char *text) {
    void *bytes;
    size_t size;
    CU_ASSERT_EQUAL_FATAL(file_read(&bytes, &size, path, 1 << 20), STATUS_OK);
    CU_ASSERT_EQUAL(size, strlen(text));
    CU_ASSERT_STRING_EQUAL(bytes, text);
    free(bytes);
}

static size_t count_names(const char *folder) {
    char **names;
    size_t count;
    CU_ASSERT_EQUAL_FATAL(folder_names(&names, &count, folder), STATUS_OK);
    folder_names_release(names, count);
    return count;
}

static void test_file__atomic_file_appears_at_commit(void) {
    const char *folder = test_folder();
    char *path = join(folder, "a.txt");
    struct atomic_file file;
    CU_ASSERT_EQUAL(write_text(path, "old"), STATUS_OK);
    CU_ASSERT_EQUAL_FATAL(atomic_file_open(&file, path), STATUS_OK);
    CU_ASSERT_EQUAL(atomic_file_write(&file, "new", 3), STATUS_OK);
    fprintf(file.stream, " %d", 7);
    CU_ASSERT_TRUE(atomic_file_is_temporary(file.temporary));
    CU_ASSERT_FALSE(atomic_file_is_temporary(path));
    assert_text(path, "old");
    CU_ASSERT_EQUAL(count_names(folder), 2);
    CU_ASSERT_EQUAL(atomic_file_commit(&file), STATUS_OK);
    assert_text(path, "new 7");
    CU_ASSERT_EQUAL(count_names(folder), 1);
    atomic_file_abandon(&file); /* does nothing after commit */
    assert_text(path, "new 7");
    struct stat about;
    mode_t mask = umask(0);
    umask(mask);
    CU_ASSERT_EQUAL(stat(path, &about), 0);
    CU_ASSERT_EQUAL(about.st_mode & 0777, 0666 & ~mask);
    free(path);
}

static void test_file__abandon_leaves_nothing(void) {
    const char *folder = test_folder();
    char *path = join(folder, "a.txt");
    struct atomic_file file;
    CU_ASSERT_EQUAL_FATAL(atomic_file_open(&file, path), STATUS_OK);
    CU_ASSERT_EQUAL(atomic_file_write(&file, "x", 1), STATUS_OK);
    atomic_file_abandon(&file);
    CU_ASSERT_EQUAL(count_names(folder), 0);
    free(path);
}

static void test_file__two_writers_do_not_meet(void) {
    const char *folder = test_folder();
    char *path = join(folder, "a.txt");
    struct atomic_file one, two;
    CU_ASSERT_EQUAL_FATAL(atomic_file_open(&one, path), STATUS_OK);
    CU_ASSERT_EQUAL_FATAL(atomic_file_open(&two, path), STATUS_OK);
    CU_ASSERT_EQUAL(atomic_file_write(&one, "one", 3), STATUS_OK);
    CU_ASSERT_EQUAL(atomic_file_write(&two, "two", 3), STATUS_OK);
    CU_ASSERT_EQUAL(atomic_file_commit(&one), STATUS_OK);
    assert_text(path, "one");
    CU_ASSERT_EQUAL(atomic_file_commit(&two), STATUS_OK);
    assert_text(path, "two");
    CU_ASSERT_EQUAL(count_names(folder), 1);
    free(path);
}

static void test_file__foreign_temporary_files_stay(void) {
    const char *folder = test_folder();
    char *path = join(folder, "a.txt");
    char foreign[100][128];
    struct atomic_file file;
    for (int i = 0; i < 100; i++) {
        snprintf(foreign[i], sizeof foreign[i], "%s.tmp-%ld-%d", path, (long)getpid(), i);
        FILE *out = fopen(foreign[i], "w");
        CU_ASSERT_PTR_NOT_NULL_FATAL(out);
        fputs("theirs", out);
        fclose(out);
    }
    CU_ASSERT_EQUAL(write_text(path, "ours"), STATUS_OK);
    CU_ASSERT_EQUAL_FATAL(atomic_file_open(&file, path), STATUS_OK);
    atomic_file_abandon(&file);
    assert_text(path, "ours");
    for (int i = 0; i < 100; i++) {
        assert_text(foreign[i], "theirs");
    }
    free(path);
}

/* A limit on the size of files stands for a disk that runs full. */
static void test_file__full_disk_loses_the_new_file_only(void) {
    const char *folder = test_folder();
    char *path = join(folder, "a.txt");
    CU_ASSERT_EQUAL(write_text(path, "old"), STATUS_OK);
    signal(SIGXFSZ, SIG_IGN);
    struct rlimit before, small;
    getrlimit(RLIMIT_FSIZE, &before);
    for (rlim_t limit = 0; limit < 3; limit++) {
        small = (struct rlimit){limit, before.rlim_max};
        setrlimit(RLIMIT_FSIZE, &small);
        status result = write_text(path, "new");
        setrlimit(RLIMIT_FSIZE, &before);
        CU_ASSERT_EQUAL(result, STATUS_SYSTEM);
        test_assert_message("cannot write", __FILE__, __LINE__);
        CU_ASSERT_PTR_NOT_NULL(strstr(status_message(), "File too large"));
        assert_text(path, "old");
        CU_ASSERT_EQUAL(count_names(folder), 1);
    }
    /* A stream that failed before must not be committed, though its last flush went well. */
    struct atomic_file file;
    CU_ASSERT_EQUAL_FATAL(atomic_file_open(&file, path), STATUS_OK);
    small.rlim_cur = 0;
    setrlimit(RLIMIT_FSIZE, &small);
    fputs("lost", file.stream);
    fflush(file.stream);
    setrlimit(RLIMIT_FSIZE, &before);
    TEST_ASSERT_FAILS(atomic_file_commit(&file), "an earlier write failed");
    assert_text(path, "old");
    CU_ASSERT_EQUAL(count_names(folder), 1);
    free(path);
}

static void test_file__no_folder_is_a_clear_failure(void) {
    char *path = join(test_folder(), "none/a.txt");
    struct atomic_file file;
    CU_ASSERT_EQUAL(atomic_file_open(&file, path), STATUS_SYSTEM);
    CU_ASSERT_PTR_NOT_NULL(strstr(status_message(), path));
    atomic_file_abandon(&file);
    free(path);
}

static void test_file__read_keeps_its_limit(void) {
    const char *folder = test_folder();
    char *path = join(folder, "a.txt");
    void *bytes;
    size_t size;
    CU_ASSERT_EQUAL(write_text(path, "12345"), STATUS_OK);
    CU_ASSERT_EQUAL(file_read(&bytes, &size, path, 5), STATUS_OK);
    CU_ASSERT_EQUAL(size, 5);
    CU_ASSERT_EQUAL(((char *)bytes)[5], 0);
    free(bytes);
    CU_ASSERT_EQUAL(file_read(&bytes, &size, path, 4), STATUS_INPUT);
    CU_ASSERT_PTR_NULL(bytes);
    CU_ASSERT_EQUAL(write_text(path, ""), STATUS_OK);
    CU_ASSERT_EQUAL(file_read(&bytes, &size, path, 0), STATUS_OK);
    CU_ASSERT_EQUAL(size, 0);
    free(bytes);
    TEST_ASSERT_FAILS(file_read(&bytes, &size, folder, 100), "is a folder, not a file");
    CU_ASSERT_EQUAL(file_read(&bytes, &size, "/dev/zero", 100000), STATUS_INPUT);
    CU_ASSERT_EQUAL(unlink(path), 0);
    CU_ASSERT_EQUAL(file_read(&bytes, &size, path, 100), STATUS_NOT_FOUND);
    free(path);
}

static void *feed_pipe(void *path) {
    int descriptor = open(path, O_WRONLY);
    static char block[1000];
    memset(block, 'x', sizeof block);
    for (int i = 0; i < 200; i++) {
        if (write(descriptor, block, sizeof block) < 0) {
            break;
        }
    }
    close(descriptor);
    return NULL;
}

static void test_file__reads_a_pipe(void) {
    char *path = join(test_folder(), "pipe");
    CU_ASSERT_EQUAL_FATAL(mkfifo(path, 0600), 0);
    pthread_t feeder;
    CU_ASSERT_EQUAL_FATAL(pthread_create(&feeder, NULL, feed_pipe, path), 0);
    void *bytes;
    size_t size;
    CU_ASSERT_EQUAL(file_read(&bytes, &size, path, 1 << 20), STATUS_OK);
    CU_ASSERT_EQUAL(size, 200000);
    CU_ASSERT_EQUAL(strspn(bytes, "x"), 200000);
    free(bytes);
    pthread_join(feeder, NULL);
    free(path);
}

static void test_file__makes_folders_and_lists_them_sorted(void) {
    const char *folder = test_folder();
    char *deep = join(folder, "x//y/z/");
    CU_ASSERT_EQUAL(folder_make(deep), STATUS_OK);
    CU_ASSERT_EQUAL(folder_make(deep), STATUS_OK);
    CU_ASSERT_TRUE(folder_exists(deep));
    CU_ASSERT_FALSE(file_exists(deep));
    static const char *const written[] = {"b", "a10", "a9", "B"};
    for (int i = 0; i < 4; i++) {
        char *path = join(folder, written[i]);
        CU_ASSERT_EQUAL(write_text(path, ""), STATUS_OK);
        CU_ASSERT_TRUE(file_exists(path));
        CU_ASSERT_FALSE(folder_exists(path));
        free(path);
    }
    char **names;
    size_t count;
    CU_ASSERT_EQUAL_FATAL(folder_names(&names, &count, folder), STATUS_OK);
    static const char *const sorted[] = {"B", "a10", "a9", "b", "x"};
    CU_ASSERT_EQUAL_FATAL(count, 5);
    for (size_t i = 0; i < count; i++) {
        CU_ASSERT_STRING_EQUAL(names[i], sorted[i]);
    }
    folder_names_release(names, count);
    char *blocked = join(folder, "b/c");
    CU_ASSERT_EQUAL(folder_make(blocked), STATUS_SYSTEM);
    CU_ASSERT_EQUAL(folder_names(&names, &count, blocked), STATUS_NOT_FOUND);
    CU_ASSERT_FALSE(file_exists(blocked) || folder_exists(blocked));
    free(blocked);
    free(deep);
}

static void test_file__lock_names_its_holder(void) {
    const char *folder = test_folder();
    int ready[2], stop[2];
    CU_ASSERT_EQUAL_FATAL(pipe(ready), 0);
    CU_ASSERT_EQUAL_FATAL(pipe(stop), 0);
    struct folder_lock lock;
    pid_t child = fork();
    if (child == 0) {
        char byte = folder_lock_take(&lock, folder) == STATUS_OK ? 'y' : 'n';
        close(stop[1]);
        if (write(ready[1], &byte, 1) != 1 || read(stop[0], &byte, 1) != 0) {
            _exit(1);
        }
        _exit(0); /* no release: the lock dies with the process */
    }
    close(stop[0]);
    char byte = 0;
    CU_ASSERT_EQUAL(read(ready[0], &byte, 1), 1);
    CU_ASSERT_EQUAL(byte, 'y');
    char host[256] = "", holder[512];
    gethostname(host, sizeof host - 1);
    snprintf(holder, sizeof holder, "%s is in use by another job (process %ld on %s)", folder,
        (long)child, host);
    CU_ASSERT_EQUAL(folder_lock_take(&lock, folder), STATUS_USAGE);
    CU_ASSERT_STRING_EQUAL(status_message(), holder);
    folder_lock_release(&lock); /* of nothing */
    close(stop[1]);
    int ended;
    waitpid(child, &ended, 0);
    CU_ASSERT_EQUAL(folder_lock_take(&lock, folder), STATUS_OK);
    struct folder_lock second;
    CU_ASSERT_EQUAL(folder_lock_take(&second, folder), STATUS_USAGE);
    folder_lock_release(&lock);
    CU_ASSERT_EQUAL(folder_lock_take(&second, folder), STATUS_OK);
    folder_lock_release(&second);
    CU_ASSERT_EQUAL(folder_lock_take(&lock, "/proc"), STATUS_SYSTEM);
    close(ready[0]);
    close(ready[1]);
}

TEST_MAIN("file", TEST(test_file__atomic_file_appears_at_commit),
    TEST(test_file__abandon_leaves_nothing), TEST(test_file__two_writers_do_not_meet),
    TEST(test_file__foreign_temporary_files_stay),
    TEST(test_file__full_disk_loses_the_new_file_only),
    TEST(test_file__no_folder_is_a_clear_failure), TEST(test_file__read_keeps_its_limit),
    TEST(test_file__reads_a_pipe), TEST(test_file__makes_folders_and_lists_them_sorted),
    TEST(test_file__lock_names_its_holder))
