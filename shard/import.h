/* What all importers share: the names of the sets, the split, progress, and that all sets of one
 * import come into being together or not at all.
 *
 *     import_create -> { import_begin(set) -> import_add ... } for each set -> import_commit
 *
 * A set is "train", "test", "validation", or NULL where the source is one unnamed set. It becomes
 * DATASET/<set>, or DATASET itself. With a split, "train" or the unnamed set becomes DATASET/train
 * and DATASET/validation; others stay as they are.
 */
#ifndef SHARD_IMPORT_H
#define SHARD_IMPORT_H

#include "shard/importer.h"

struct import;

/* Everything is borrowed until destroy; `class_names` NULL: none. */
status import_create(struct import **import, const char *dataset,
    const struct import_options *options, const char *format, int classes,
    const char *const *class_names);

/* Starts a set of `records` records. */
status import_begin(struct import *import, const char *set, int64_t records);

/* The next record of the set; `decoded` as for dataset_writer_add. */
status import_add(
    struct import *import, const struct record *record, const struct picture *decoded);

/* Puts all sets in place. */
status import_commit(struct import *import);

/* Frees, and removes what was not committed. */
void import_destroy(struct import *import);

/* One name a line; `*names` freed with names_release. Fails with STATUS_INPUT for a file without
 * names or with an empty line in it. */
status import_read_names(char ***names, int *count, const char *path);
void import_names_release(char **names, int count);

#endif
