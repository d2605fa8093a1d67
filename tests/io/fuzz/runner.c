/* Runs a fuzz target over every file of a folder and over random changes of them. */
#include "io/file.h"
#include "io/fuzz/target.h"
#include "support/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILES = 64, ROUNDS = 3000, LONGEST = 1 << 14 };

static struct {
    uint8_t *bytes;
    size_t size;
} corpus[FILES];
static int corpus_count;
static const char *corpus_folder;

static void load(void) {
    char **names;
    size_t count;
    CU_ASSERT_EQUAL_FATAL(folder_names(&names, &count, corpus_folder), STATUS_OK);
    CU_ASSERT_TRUE_FATAL(count > 0 && count <= FILES);
    for (size_t i = 0; i < count; i++) {
        char *path;
        void *bytes;
        CU_ASSERT_EQUAL_FATAL(path_join(&path, corpus_folder, names[i]), STATUS_OK);
        CU_ASSERT_EQUAL_FATAL(file_read(&bytes, &corpus[i].size, path, LONGEST), STATUS_OK);
        corpus[i].bytes = bytes;
        corpus_count++;
        free(path);
    }
    folder_names_release(names, count);
}

/* A copy of exactly its size, so that a read past the end is seen. */
static void run(const uint8_t *bytes, size_t size) {
    uint8_t *copy = malloc(size > 0 ? size : 1);
    CU_ASSERT_PTR_NOT_NULL_FATAL(copy);
    memcpy(copy, bytes, size);
    LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

static size_t change(uint8_t *bytes, size_t size) {
    static const uint8_t telling[] = {0, 1, 0x7f, 0x80, 0xff, '[', '{', '"', '&', '*', ':', '\n'};
    const size_t place = (size_t)test_random_between(0, (int)size - 1);
    switch (test_random_between(0, 5)) {
    case 0: bytes[place] ^= (uint8_t)(1 << test_random_between(0, 7)); break;
    case 1: bytes[place] = (uint8_t)test_random(); break;
    case 2: bytes[place] = telling[test_random_between(0, (int)sizeof telling - 1)]; break;
    case 3: return place > 0 ? place : size; /* cut */
    case 4:                                  /* a piece twice */
        if (2 * size - place <= LONGEST) {
            memmove(bytes + size, bytes + place, size - place);
            return 2 * size - place;
        }
        break;
    case 5: /* a byte less */
        memmove(bytes + place, bytes + place + 1, size - place - 1);
        return size > 1 ? size - 1 : size;
    }
    return size;
}

static void test_fuzz__survives_the_corpus_and_changes_of_it(void) {
    load();
    for (int i = 0; i < corpus_count; i++) {
        run(corpus[i].bytes, corpus[i].size);
    }
    uint8_t *bytes = malloc(LONGEST);
    CU_ASSERT_PTR_NOT_NULL_FATAL(bytes);
    for (int round = 0; round < ROUNDS; round++) {
        const int which = test_random_between(0, corpus_count - 1);
        size_t size = corpus[which].size;
        memcpy(bytes, corpus[which].bytes, size);
        for (int changes = test_random_between(1, 6); changes > 0 && size > 0; changes--) {
            size = change(bytes, size);
        }
        run(bytes, size);
    }
    free(bytes);
    for (int i = 0; i < corpus_count; i++) {
        free(corpus[i].bytes);
    }
}

int main(int count, char **arguments) {
    if (count != 2) {
        fprintf(stderr, "usage: %s FOLDER\n", arguments[0]);
        return 2;
    }
    corpus_folder = arguments[1];
    const struct test tests[] = {TEST(test_fuzz__survives_the_corpus_and_changes_of_it)};
    return test_main("fuzz", tests, 1);
}
