/* Memory that several processes of one machine see, without a name that could stay behind and
 * without the limit of /dev/shm (64 MB in many containers, and whoever writes past it dies of
 * SIGBUS): a file that exists in memory alone, which the others open by process and descriptor.
 */
#ifndef BASE_SHARED_MEMORY_H
#define BASE_SHARED_MEMORY_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct shared_memory {
    unsigned char *base; /* aligned to a huge page; NULL: none */
    size_t size;
    int file;
};

/* What another process opens it by: plain bytes. */
struct shared_memory_key {
    int64_t process;
    int32_t file;
};

/* `size` bytes of zeros, not yet reserved. STATUS_SYSTEM where the system refuses. */
status shared_memory_create(struct shared_memory *memory, size_t size);
struct shared_memory_key shared_memory_get_key(const struct shared_memory *memory);
/* The memory that another process of this machine and user holds; it must be alive meanwhile.
 * STATUS_SYSTEM where it is not to be found (another container, another user). */
status shared_memory_open(
    struct shared_memory *memory, const struct shared_memory_key *key, size_t size);
/* Takes the pages of [from, from + size), near this thread where nobody has them yet, on huge pages
 * where the system gives them, so that no later touch can fail. STATUS_SYSTEM where memory is
 * short.
 */
status shared_memory_reserve(const struct shared_memory *memory, size_t from, size_t size);
/* Whether the system gives shared memory huge pages when asked: tried on one. */
bool shared_memory_takes_huge_pages(void);
void shared_memory_release(struct shared_memory *memory);

#endif
