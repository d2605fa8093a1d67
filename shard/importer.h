/* Importers turn foreign files into data sets: one file each in shard/importers/, registered in
 * shard/importers/list.c.
 */
#ifndef SHARD_IMPORTER_H
#define SHARD_IMPORTER_H

#include "base/options.h"
#include "shard/dataset.h"

/* Options that every importer takes; the command line gives them as --name VALUE. */
struct import_options {
    int64_t shards; /* 16 */
    double split;   /* share that becomes DATASET/validation (the rest DATASET/train); 0: none */
    int64_t seed;   /* of the split */
    bool replace;
    void *values; /* the importer's own options */
    void (*progress)(void *context, const char *what, int64_t done, int64_t total); /* or NULL */
    void *progress_context;
};

struct importer_operations {
    struct kind kind;
    /* Reads `source` and writes one or more data sets at or below `dataset`. */
    status (*import)(const char *source, const char *dataset, const struct import_options *options);
};

extern const struct kind *const importers[];       /* NULL-terminated */
extern const struct option import_options_table[]; /* shards, split, seed, replace */

#endif
