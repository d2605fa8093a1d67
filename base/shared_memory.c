#include "base/shared_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define HUGE_PAGE ((size_t)2 << 20)

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14 */
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 /* Linux 6.1 */
#endif

/* Maps the file where an address is a multiple of a huge page, as its offsets are. */
static status map(struct shared_memory *memory) {
    size_t room = memory->size + HUGE_PAGE;
    unsigned char *all = mmap(NULL, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (all == MAP_FAILED) {
        FAIL(STATUS_SYSTEM, "no room for %zu bytes of shared memory", memory->size);
    }
    size_t skip = (HUGE_PAGE - (uintptr_t)all % HUGE_PAGE) % HUGE_PAGE;
    unsigned char *base = all + skip;
    if (mmap(base, memory->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, memory->file, 0) ==
        MAP_FAILED) {
        int error = errno;
        munmap(all, room);
        FAIL(STATUS_SYSTEM, "%zu bytes of shared memory are not to be mapped: %s", memory->size,
            strerror(error));
    }
    if (skip > 0) {
        munmap(all, skip);
    }
    munmap(base + memory->size, HUGE_PAGE - skip);
    madvise(base, memory->size, MADV_HUGEPAGE); /* a wish */
    memory->base = base;
    return STATUS_OK;
}

static size_t whole_pages(size_t size) {
    return (size + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
}

status shared_memory_create(struct shared_memory *memory, size_t size) {
    *memory = (struct shared_memory){.size = whole_pages(size), .file = -1};
    memory->file = memfd_create("convoy", MFD_CLOEXEC);
    if (memory->file < 0 || ftruncate(memory->file, (off_t)memory->size) != 0) {
        int error = errno;
        shared_memory_release(memory);
        FAIL(STATUS_SYSTEM, "no %zu bytes of shared memory: %s", size, strerror(error));
    }
    status result = map(memory);
    if (result != STATUS_OK) {
        shared_memory_release(memory);
    }
    return result;
}

struct shared_memory_key shared_memory_get_key(const struct shared_memory *memory) {
    return (struct shared_memory_key){.process = getpid(), .file = memory->file};
}

status shared_memory_open(
    struct shared_memory *memory, const struct shared_memory_key *key, size_t size) {
    char path[64];
    *memory = (struct shared_memory){.size = whole_pages(size)};
    snprintf(path, sizeof path, "/proc/%lld/fd/%d", (long long)key->process, (int)key->file);
    memory->file = open(path, O_RDWR | O_CLOEXEC);
    if (memory->file < 0) {
        FAIL(STATUS_SYSTEM, "the shared memory of process %lld is not to be opened: %s",
            (long long)key->process, strerror(errno));
    }
    status result = map(memory);
    if (result != STATUS_OK) {
        shared_memory_release(memory);
    }
    return result;
}

/* Puts the whole huge pages of [from, to) on huge pages. Linux gives shared memory none by default
 * (shmem_enabled: never), but on request it makes one of small ones, and that is quickest while
 * only the first of them is there. */
static bool collapse(const struct shared_memory *memory, size_t from, size_t to) {
    from = whole_pages(from);
    to -= to % HUGE_PAGE;
    for (size_t at = from; at < to; at += HUGE_PAGE) {
        if (madvise(memory->base + at, 1, MADV_POPULATE_WRITE) != 0) {
            return false;
        }
    }
    return from < to && madvise(memory->base + from, to - from, MADV_COLLAPSE) == 0;
}

status shared_memory_reserve(const struct shared_memory *memory, size_t from, size_t size) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t skip = from % page;
    if (size == 0) {
        return STATUS_OK;
    }
    collapse(memory, from, from + size); /* a wish */
    if (madvise(memory->base + from - skip, size + skip, MADV_POPULATE_WRITE) == 0) {
        return STATUS_OK;
    }
    int error = errno;
    if (error == EINVAL) { /* an older kernel */
        error = posix_fallocate(memory->file, (off_t)(from - skip), (off_t)(size + skip));
    }
    if (error != 0) {
        FAIL(STATUS_SYSTEM, "no %zu bytes of shared memory: %s", size, strerror(error));
    }
    return STATUS_OK;
}

bool shared_memory_takes_huge_pages(void) {
    struct shared_memory memory;
    if (shared_memory_create(&memory, HUGE_PAGE) != STATUS_OK) {
        return false;
    }
    bool takes = collapse(&memory, 0, HUGE_PAGE);
    shared_memory_release(&memory);
    return takes;
}

void shared_memory_release(struct shared_memory *memory) {
    if (memory->base != NULL) {
        munmap(memory->base, memory->size);
    }
    if (memory->size > 0 && memory->file >= 0) {
        close(memory->file);
    }
    *memory = (struct shared_memory){0};
}
