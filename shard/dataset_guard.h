/* What happens when a shard dies under our hands: LMDB reads through a memory mapping and trusts
 * every byte, so that a file that is cut or damaged ends in SIGBUS or SIGSEGV. While a shard is
 * open, a handler turns such a death into one line on stderr that names the shard, and exit
 * code 1. It claims a fault when its address lies in a shard's mapping, or when the faulting
 * thread is between dataset_guard_enter and dataset_guard_leave (a damaged offset may point
 * anywhere). Any other fault goes to the handler that was there before.
 */
#ifndef SHARD_DATASET_GUARD_H
#define SHARD_DATASET_GUARD_H

#include "base/status.h"

#include <stdint.h>

/* One guarded mapping. */
struct dataset_guard;

/* Installs the handler with the first one. `path` is copied. */
status dataset_guard_add(struct dataset_guard **guard, const char *path);

/* Where the shard is mapped. */
void dataset_guard_set_range(struct dataset_guard *guard, uintptr_t base, size_t size);

/* Ends it; with the last one the previous handlers come back. NULL is allowed. */
void dataset_guard_remove(struct dataset_guard *guard);

/* From here to the leave this thread reads that shard, and only it. Not nested. */
void dataset_guard_enter(const struct dataset_guard *guard);
void dataset_guard_leave(void);

/* Ends the process with the line, for a library that would abort: async-signal-safe. */
_Noreturn void dataset_guard_die(const char *path, const char *reason);

#endif
