/* Aligned memory and arenas.
 *
 * Every size is checked for overflow here, so that callers may multiply counts read from files.
 */
#ifndef BASE_MEMORY_H
#define BASE_MEMORY_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>

#define MEMORY_ALIGNMENT 64 /* a cache line, and one AVX-512 vector */

/* Zeroed memory for `count` things of `size` bytes, aligned to MEMORY_ALIGNMENT; freed by free().
 * Fails with STATUS_SYSTEM, and *pointer = NULL. count * size = 0 gives a valid pointer. */
status memory_allocate(void **pointer, size_t count, size_t size);
#define MEMORY_ALLOCATE(pointer, count)                                                            \
    memory_allocate((void **)(pointer), count, sizeof **(pointer))

/* A copy of `text` (strdup with a status). */
status memory_copy_text(char **copy, const char *text);

/* One contiguous piece of memory for a whole network: reserved once, on huge pages where the
 * system has them, touched before the first step so that no page fault falls inside one. */
struct arena {
    unsigned char *base;
    size_t size; /* bytes reserved */
    bool huge;   /* the kernel was asked for huge pages and agreed */
};

/* Reserves `size` bytes, zeroed and touched by so many threads, each a run of it. Fails with
 * STATUS_SYSTEM, naming the size. */
status arena_init(struct arena *arena, size_t size, int threads);
/* ... which is a whole number of huge pages: so many bytes. */
size_t arena_bytes(size_t size);
/* The same size of addresses, but memory only where it is touched: for vectors of which this
 * process has some pieces. All of it reads as zeros. */
status arena_reserve(struct arena *arena, size_t size);
/* Takes the memory of bytes [from, to) of a reserved arena, on huge pages where whole ones fit, so
 * that nothing outside is taken; what was written stays. */
void arena_touch(struct arena *arena, size_t from, size_t to);
void arena_release(struct arena *arena);

/* A growing pool of small things that all die together (strings and nodes of a document, resolved
 * options). Zeroed memory, aligned to 16. */
struct pool {
    struct pool_block *blocks;
};
void pool_init(struct pool *pool);
void pool_release(struct pool *pool);
status pool_take(struct pool *pool, void **pointer, size_t count, size_t size);
status pool_copy_text(struct pool *pool, char **copy, const char *text, size_t length);

#endif
