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

/* Opens a temporary file, PATH.tmp-<process>-<number>, that is nobody else's, with the permissions
 * that the umask leaves. The folder must exist. Fails with STATUS_SYSTEM, as the next two do; after
 * a failure to open there is nothing to abandon, though it does no harm. */
status atomic_file_open(struct atomic_file *file, const char *path);
/* Appends. Writing to file->stream is as good: commit notices what went wrong there. After a
 * failure the caller abandons. */
status atomic_file_write(struct atomic_file *file, const void *bytes, size_t size);
/* Flushes, renames, flushes the folder. On failure the temporary file is gone and the old file, if
 * there was one, still there (or, where only the folder could not be flushed, the whole new one).
 * Ends the struct's use either way. */
status atomic_file_commit(struct atomic_file *file);
/* Gives up: removes the temporary file. Does nothing after commit. */
void atomic_file_abandon(struct atomic_file *file);
/* Whether a file of this name is the unfinished work of some atomic_file_open. */
bool atomic_file_is_temporary(const char *name);

/* A whole file (or pipe) in memory, `*bytes` freed by free(); one 0 byte follows it. Fails with
 * STATUS_NOT_FOUND, STATUS_SYSTEM, or STATUS_INPUT (a folder, or more than `limit` bytes), each
 * naming the path; *bytes is NULL then. */
status file_read(void **bytes, size_t *size, const char *path, size_t limit);
/* Whether there is a folder, or anything else, of this name; links are followed. */
bool file_exists(const char *path);
bool folder_exists(const char *path);
/* Makes the folder and those above it, where they are missing. Fails with STATUS_SYSTEM. */
status folder_make(const char *path);
/* Names in a folder without "." and "..", sorted bytewise; freed by folder_names_release.
 * Fails with STATUS_NOT_FOUND or STATUS_SYSTEM. */
status folder_names(char ***names, size_t *count, const char *path);
void folder_names_release(char **names, size_t count);
/* "a/b" from "a" and "b"; freed by free(). */
status path_join(char **joined, const char *folder, const char *name);

/* A lock on a folder that dies with the process (flock on FOLDER/lock, which names host and process
 * of its holder and stays when the lock goes). A folder in use by another job is refused with
 * STATUS_USAGE, naming both; STATUS_SYSTEM where the folder is not to be written, or its file
 * system (NFS without its lock service) knows no locks. Releasing what was not taken does nothing.
 */
struct folder_lock {
    int descriptor;
};
status folder_lock_take(struct folder_lock *lock, const char *folder);
void folder_lock_release(struct folder_lock *lock);

#endif
