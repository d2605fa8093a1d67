/* One shard: an LMDB file whose keys are 8-byte big-endian numbers 0, 1, 2, ... and whose values
 * are packed records. Read-only, without locks; the file must not change while it is open.
 */
#ifndef SHARD_SHARD_FILE_H
#define SHARD_SHARD_FILE_H

#include "base/status.h"

#include <stdint.h>

#define SHARD_LIMIT 4096 /* shards of one data set */

struct shard_file;

/* FOLDER/shard-00000.mdb; freed by free(). */
status shard_file_path(char **path, const char *folder, int shard);

/* The key of record `number` of a shard. */
void shard_file_key(unsigned char key[8], uint64_t number);

/* Reads the file's own meta pages and compares them with its size and with the number of records
 * it must have. LMDB does not: it would die later. Sets *size to the bytes of the file. Fails with
 * STATUS_INPUT, naming the file. */
status shard_file_check(uint64_t *size, const char *path, int64_t records);

/* The bytes that the newest meta page accounts for; a writer makes the file as long. */
status shard_file_extent(uint64_t *extent, const char *path);

/* Checks and opens. */
status shard_file_open(struct shard_file **file, const char *path, int64_t records);
void shard_file_close(struct shard_file *file);

/* The value under key `number`, borrowed from the mapping until close, and whole inside it.
 * Fails with STATUS_INPUT. Thread-safe. */
status shard_file_read(
    const void **bytes, size_t *size, const struct shard_file *file, int64_t number);

/* The guard of the mapping, for who reads the bytes (dataset_guard_enter). */
const struct dataset_guard *shard_file_get_guard(const struct shard_file *file);

#endif
