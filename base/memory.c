#include "base/memory.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define HUGE_PAGE  ((size_t)2 << 20)
#define SMALL_PAGE ((size_t)4 << 10)
#define POOL_BLOCK ((size_t)64 << 10)

static status checked_product(size_t *product, size_t count, size_t size) {
    if (__builtin_mul_overflow(count, size, product) || *product > SIZE_MAX / 2) {
        FAIL(
            STATUS_SYSTEM, "cannot take memory for %zu things of %zu bytes: too much", count, size);
    }
    return STATUS_OK;
}

status memory_allocate(void **pointer, size_t count, size_t size) {
    *pointer = NULL;
    size_t bytes;
    TRY(checked_product(&bytes, count, size));
    bytes = (bytes + MEMORY_ALIGNMENT) / MEMORY_ALIGNMENT * MEMORY_ALIGNMENT;
    void *memory = aligned_alloc(MEMORY_ALIGNMENT, bytes);
    if (memory == NULL) {
        FAIL(STATUS_SYSTEM, "no memory for %zu bytes", bytes);
    }
    memset(memory, 0, bytes);
    *pointer = memory;
    return STATUS_OK;
}

status memory_copy_text(char **copy, const char *text) {
    size_t size = strlen(text) + 1;
    TRY(memory_allocate((void **)copy, size, 1));
    memcpy(*copy, text, size);
    return STATUS_OK;
}

size_t arena_bytes(size_t size) {
    return (size + HUGE_PAGE) / HUGE_PAGE * HUGE_PAGE;
}

/* Pages come zeroed: writing to each once is enough, and half the traffic of filling them. */
static void touch(volatile unsigned char *memory, size_t bytes) {
    for (size_t i = 0; i < bytes; i += SMALL_PAGE) {
        memory[i] = memory[i];
    }
}

static status map_arena(struct arena *arena, size_t size) {
    *arena = (struct arena){0};
    if (size > SIZE_MAX / 2) {
        FAIL(STATUS_SYSTEM, "no memory for an arena of %zu bytes", size);
    }
    size_t bytes = arena_bytes(size);
    /* One huge page more than needed, so that the base can be aligned to one. */
    unsigned char *memory =
        mmap(NULL, bytes + HUGE_PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        FAIL(STATUS_SYSTEM, "no memory for an arena of %zu bytes", bytes);
    }
    uintptr_t address = (uintptr_t)memory;
    size_t skip = (HUGE_PAGE - address % HUGE_PAGE) % HUGE_PAGE;
    if (skip > 0) {
        munmap(memory, skip);
    }
    if (HUGE_PAGE - skip > 0) {
        munmap(memory + skip + bytes, HUGE_PAGE - skip);
    }
    arena->base = memory + skip;
    arena->size = bytes;
    return STATUS_OK;
}

status arena_init(struct arena *arena, size_t size, int threads) {
    TRY(map_arena(arena, size));
    arena->huge = madvise(arena->base, arena->size, MADV_HUGEPAGE) == 0;
#pragma omp parallel for num_threads(threads) schedule(static)
    for (size_t i = 0; i < arena->size; i += HUGE_PAGE) {
        touch(arena->base + i, HUGE_PAGE);
    }
    return STATUS_OK;
}

status arena_reserve(struct arena *arena, size_t size) {
    TRY(map_arena(arena, size));
    madvise(arena->base, arena->size, MADV_NOHUGEPAGE); /* one touch would take 2 MiB */
    return STATUS_OK;
}

void arena_touch(struct arena *arena, size_t from, size_t to) {
    size_t first = (from + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE, end = to / HUGE_PAGE * HUGE_PAGE;
    if (first < end) {
        arena->huge = madvise(arena->base + first, end - first, MADV_HUGEPAGE) == 0;
    }
    size_t skip = from % SMALL_PAGE;
    touch(arena->base + from - skip, from < to ? to - from + skip : 0);
}

void arena_release(struct arena *arena) {
    if (arena->base != NULL) {
        munmap(arena->base, arena->size);
    }
    *arena = (struct arena){0};
}

struct pool_block {
    struct pool_block *next;
    size_t used, size;
    _Alignas(16) unsigned char bytes[];
};

void pool_init(struct pool *pool) {
    pool->blocks = NULL;
}

void pool_release(struct pool *pool) {
    while (pool->blocks != NULL) {
        struct pool_block *next = pool->blocks->next;
        free(pool->blocks);
        pool->blocks = next;
    }
}

status pool_take(struct pool *pool, void **pointer, size_t count, size_t size) {
    *pointer = NULL;
    size_t bytes;
    TRY(checked_product(&bytes, count, size));
    bytes = (bytes + 15) / 16 * 16;
    struct pool_block *block = pool->blocks;
    if (block == NULL || block->size - block->used < bytes) {
        size_t room = bytes > POOL_BLOCK ? bytes : POOL_BLOCK;
        TRY(memory_allocate((void **)&block, 1, sizeof *block + room));
        block->size = room;
        block->next = pool->blocks;
        pool->blocks = block;
    }
    *pointer = block->bytes + block->used;
    block->used += bytes;
    return STATUS_OK;
}

status pool_copy_text(struct pool *pool, char **copy, const char *text, size_t length) {
    if (length == SIZE_MAX) {
        FAIL(STATUS_SYSTEM, "a text of %zu bytes is too long", length);
    }
    TRY(pool_take(pool, (void **)copy, length + 1, 1));
    memcpy(*copy, text, length);
    return STATUS_OK;
}
