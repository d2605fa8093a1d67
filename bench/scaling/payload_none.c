/* No data, in place of base/memory.c and worker/exchange/vector.c: a large vector has addresses and
 * no memory, for nobody touches it; adding takes its time and adds nothing; and what is sent is one
 * piece of memory that all ranks share, which SimGrid then does not copy. */
#include "base/memory.h"
#include "host.h"
#include "payload.h"
#include "worker/exchange/vector.h"

#include <mpi.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define LARGE   ((size_t)64 << 10) /* bytes: smaller things hold state, and are real */
#define LARGEST ((size_t)256 << 20)

/* Adding reads two vectors and writes one; the rate is an assumption. */
#define BYTES_A_SECOND 20e9

static double bytes_a_second = BYTES_A_SECOND;

void payload_set_speed(double speed) {
    bytes_a_second = BYTES_A_SECOND * speed;
}

void *payload_of(const void *bytes, size_t size) {
    static void *shared;
    if (size < LARGE) {
        return (void *)bytes;
    }
    if (shared == NULL) {
        shared = SMPI_SHARED_MALLOC(LARGEST);
    }
    return size <= LARGEST ? shared : NULL;
}

static status take(void **pointer, size_t bytes) {
    if (bytes < LARGE) {
        *pointer = aligned_alloc(MEMORY_ALIGNMENT, bytes);
        if (*pointer != NULL) {
            memset(*pointer, 0, bytes);
        }
    } else {
        const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
        *pointer = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, -1, 0);
        *pointer = *pointer != MAP_FAILED ? *pointer : NULL;
    }
    if (*pointer == NULL) {
        FAIL(STATUS_SYSTEM, "no memory for %zu bytes", bytes);
    }
    return STATUS_OK;
}

status memory_allocate(void **pointer, size_t count, size_t size) {
    return take(pointer, (count * size + MEMORY_ALIGNMENT) / MEMORY_ALIGNMENT * MEMORY_ALIGNMENT);
}

status memory_copy_text(char **copy, const char *text) {
    *copy = strdup(text);
    return *copy != NULL ? STATUS_OK : STATUS_SYSTEM;
}

status arena_init(struct arena *arena, size_t size, int threads) {
    (void)threads;
    *arena = (struct arena){.size = size};
    return take((void **)&arena->base, size);
}

status arena_reserve(struct arena *arena, size_t size) {
    return arena_init(arena, size, 1);
}

void arena_touch(struct arena *arena, size_t from, size_t to) {
    (void)arena;
    (void)from;
    (void)to;
}

/* Nothing is given back before the simulation ends. */
void arena_release(struct arena *arena) {
    *arena = (struct arena){0};
}

void vector_add(float *sum, const float *a, const float *b, size_t count) {
    (void)a;
    (void)b;
    host_spend(3.0 * sizeof *sum * (double)count / bytes_a_second);
}

void vector_copy(float *to, const float *from, size_t count) {
    if (to != from && count > 0) {
        host_spend(2.0 * sizeof *to * (double)count / bytes_a_second);
    }
}
