/* Writes one shard. Records come in the order of their keys. Nothing is synchronised to disk before
 * shard_writer_close: a shard that was not closed is thrown away.
 */
#ifndef SHARD_SHARD_WRITER_H
#define SHARD_SHARD_WRITER_H

#include "base/status.h"

#include <stddef.h>

struct shard_writer;

/* Makes the file. `pending` bytes are held in memory before they go to the file. */
status shard_writer_open(struct shard_writer **writer, const char *path, size_t pending);

/* Appends the next record. Fails with STATUS_SYSTEM (disk full), naming the file. */
status shard_writer_add(struct shard_writer *writer, const void *packed, size_t size);

/* Writes everything to disk. The writer must still be destroyed. */
status shard_writer_finish(struct shard_writer *writer);

void shard_writer_destroy(struct shard_writer *writer);

#endif
