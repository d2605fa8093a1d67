/* The folder of a data set while it is made: written beside its final name, put in place at once.
 */
#ifndef SHARD_DATASET_FOLDER_H
#define SHARD_DATASET_FOLDER_H

#include "base/status.h"

#include <stdbool.h>

struct dataset_folder {
    char *final;     /* FOLDER */
    char *temporary; /* FOLDER.tmp-<pid>, while it is written */
    int made;        /* folders above FOLDER that were made for it */
    bool replace;
};

/* Makes the temporary folder. Refuses with STATUS_USAGE what stands at FOLDER, unless `replace`,
 * and even then what is no data set or holds foreign files. */
status dataset_folder_begin(struct dataset_folder *folder, const char *final, bool replace);

/* Flushes the folder to disk and puts it under its final name. */
status dataset_folder_commit(struct dataset_folder *folder);

/* Frees; what was not committed is removed, with the folders that were made above it. */
void dataset_folder_release(struct dataset_folder *folder);

#endif
