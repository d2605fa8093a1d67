/* Files that are never half written, and folders.
 *
 * An atomic file is written under a temporary name in the same folder, flushed to disk, renamed,
 * and the folder flushed. Until commit nothing is seen; a failed write loses the new file and never
 * the old one.
 */
#ifndef IO_FILE_H
#define IO_FILE_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct atomic_file {
    FILE *stream;
    char *path;      /* final name */
    char *temporary; /* name while it is written */
};

status atomic_file_open(struct atomic_file *file, const char *path);
status atomic_file_write(struct atomic_file *file, const void *bytes, size_t size);
/* Flushes, renames, flushes the folder. On failure the temporary file is gone. */
status atomic_file_commit(struct atomic_file *file);
/* Gives up: removes the temporary file. Does nothing after commit. */
void atomic_file_abandon(struct atomic_file *file);
/* Whether a file of this name is the unfinished work of some atomic_file_open. */
bool atomic_file_is_temporary(const char *name);

/* A whole file in memory, `*bytes` freed by free(); one 0 byte follows it. Refuses files above
 * `limit` bytes. */
status file_read(void **bytes, size_t *size, const char *path, size_t limit);
bool file_exists(const char *path);
bool folder_exists(const char *path);
/* Makes the folder and those above it. */
status folder_make(const char *path);
/* Names in a folder without "." and "..", sorted bytewise; freed by folder_names_release. */
status folder_names(char ***names, size_t *count, const char *path);
void folder_names_release(char **names, size_t count);
/* "a/b" from "a" and "b"; freed by free(). */
status path_join(char **joined, const char *folder, const char *name);

/* A lock on a folder that dies with the process (flock on FOLDER/lock): a run folder in use by
 * another job is refused with STATUS_USAGE, naming host and process. */
struct folder_lock {
    int descriptor;
};
status folder_lock_take(struct folder_lock *lock, const char *folder);
void folder_lock_release(struct folder_lock *lock);

#endif
