/* Copies of a data set's shards on a fast place of the node (/dev/shm), for a data set that lies on
 * a network file system.
 *
 * WHERE/convoy-<user>/<digest>-<shards>/shard-00000.mdb     the copy
 *                                       shard-00000.digest  of its bytes, when it was made
 *                                       lock                shared by those who use the copies
 *                                       copying             held by who makes some
 *
 * One process a node makes and holds them, for all its ranks. A copy is read back and compared
 * before it gets its name, and again before it is used another time. Copies are removed when their
 * last holder lets go; those of a job that was killed stay, and the next job on the same data takes
 * them over. The name holds the digest of the records, so that another data set never meets them.
 */
#ifndef SHARD_STAGE_H
#define SHARD_STAGE_H

#include "shard/dataset.h"

struct stage;

struct stage_counts {
    int copied, found; /* shards */
    int64_t bytes;     /* of both */
};

/* The folder of the copies; freed by free(). */
status stage_folder(char **folder, const char *where, const struct dataset *dataset);

/* Copies the shards that are needed[shard] and not there yet; waits while another job copies the
 * same data set. Fails with STATUS_SYSTEM (no room, naming how much is needed; not to be written)
 * or STATUS_INPUT (a copy that differs). */
status stage_create(
    struct stage **stage, const char *where, const struct dataset *dataset, const bool *needed);

/* Lets go; removes the copies where no other job holds them. Takes NULL. */
void stage_destroy(struct stage *stage);

struct stage_counts stage_get_counts(const struct stage *stage);

#endif
