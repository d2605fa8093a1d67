#include "base/memory.h"
#include "support/support.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static void test_memory__allocations_are_aligned_and_zero(void) {
    size_t sizes[] = {0, 1, 63, 64, 65, 100000};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        unsigned char *bytes;
        CU_ASSERT_EQUAL_FATAL(memory_allocate((void **)&bytes, sizes[i], 1), STATUS_OK);
        CU_ASSERT_PTR_NOT_NULL_FATAL(bytes);
        CU_ASSERT_EQUAL((uintptr_t)bytes % MEMORY_ALIGNMENT, 0);
        for (size_t k = 0; k < sizes[i]; k++) {
            CU_ASSERT_EQUAL(bytes[k], 0);
        }
        memset(bytes, 0xff, sizes[i]);
        free(bytes);
    }
}

static void test_memory__sizes_that_overflow_are_refused(void) {
    void *pointer = &pointer;
    TEST_ASSERT_FAILS(memory_allocate(&pointer, SIZE_MAX / 2, 3), "too much");
    CU_ASSERT_PTR_NULL(pointer);
    TEST_ASSERT_FAILS(memory_allocate(&pointer, (size_t)1 << 33, (size_t)1 << 31), "too much");
    TEST_ASSERT_FAILS(memory_allocate(&pointer, SIZE_MAX, 1), "too much");
    struct pool pool;
    pool_init(&pool);
    TEST_ASSERT_FAILS(pool_take(&pool, &pointer, SIZE_MAX / 4, 8), "too much");
    CU_ASSERT_PTR_NULL(pointer);
    char *copy;
    TEST_ASSERT_FAILS(pool_copy_text(&pool, &copy, "x", SIZE_MAX), "too long");
    pool_release(&pool);
    struct arena arena;
    TEST_ASSERT_FAILS(arena_init(&arena, SIZE_MAX, 1), "no memory for an arena");
    TEST_ASSERT_FAILS(arena_init(&arena, SIZE_MAX - 100, 1), "no memory for an arena");
    TEST_ASSERT_FAILS(arena_init(&arena, (size_t)1 << 60, 1), "no memory for an arena");
    CU_ASSERT_PTR_NULL(arena.base);
    arena_release(&arena);
}

static void test_memory__texts_are_copied(void) {
    char text[] = "hello";
    char *copy;
    CU_ASSERT_EQUAL_FATAL(memory_copy_text(&copy, text), STATUS_OK);
    text[0] = 'j';
    CU_ASSERT_STRING_EQUAL(copy, "hello");
    free(copy);
}

static void test_arena__is_aligned_zero_and_touched(void) {
    const size_t size = 5000000;
    struct arena arena;
    CU_ASSERT_EQUAL_FATAL(arena_init(&arena, size, 3), STATUS_OK);
    CU_ASSERT_TRUE(arena.size >= size);
    CU_ASSERT_EQUAL((uintptr_t)arena.base % ((size_t)2 << 20), 0);
    /* Every page is in memory before anybody writes to it. */
    size_t page = (size_t)sysconf(_SC_PAGESIZE), pages = arena.size / page;
    unsigned char *resident = calloc(pages, 1);
    CU_ASSERT_EQUAL(mincore(arena.base, arena.size, resident), 0);
    for (size_t i = 0; i < pages; i++) {
        CU_ASSERT_EQUAL(resident[i] & 1, 1);
        CU_ASSERT_EQUAL(arena.base[i * page], 0);
    }
    free(resident);
    memset(arena.base, 0xff, arena.size);
    arena_release(&arena);
    CU_ASSERT_PTR_NULL(arena.base);
    CU_ASSERT_EQUAL_FATAL(arena_init(&arena, 0, 1), STATUS_OK);
    CU_ASSERT_PTR_NOT_NULL(arena.base);
    arena_release(&arena);
}

static void test_pool__pieces_are_aligned_apart_and_zero(void) {
    struct pool pool;
    pool_init(&pool);
    enum { PIECES = 500 };
    unsigned char *pieces[PIECES];
    size_t sizes[PIECES];
    for (int i = 0; i < PIECES; i++) {
        sizes[i] = (size_t)test_random_between(0, i % 50 == 0 ? 200000 : 300);
        CU_ASSERT_EQUAL_FATAL(pool_take(&pool, (void **)&pieces[i], sizes[i], 1), STATUS_OK);
        CU_ASSERT_EQUAL((uintptr_t)pieces[i] % 16, 0);
        for (size_t k = 0; k < sizes[i]; k++) {
            CU_ASSERT_EQUAL_FATAL(pieces[i][k], 0);
        }
        memset(pieces[i], i % 255 + 1, sizes[i]);
    }
    for (int i = 0; i < PIECES; i++) {
        for (size_t k = 0; k < sizes[i]; k++) {
            CU_ASSERT_EQUAL_FATAL(pieces[i][k], i % 255 + 1);
        }
    }
    char *copy;
    CU_ASSERT_EQUAL(pool_copy_text(&pool, &copy, "abcdef", 3), STATUS_OK);
    CU_ASSERT_STRING_EQUAL(copy, "abc");
    pool_release(&pool);
    pool_release(&pool); /* of an empty pool: nothing */
}

TEST_MAIN("memory", TEST(test_memory__allocations_are_aligned_and_zero),
    TEST(test_memory__sizes_that_overflow_are_refused), TEST(test_memory__texts_are_copied),
    TEST(test_arena__is_aligned_zero_and_touched),
    TEST(test_pool__pieces_are_aligned_apart_and_zero))
