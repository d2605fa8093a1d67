/* Where a run lies: a folder with recipe.yaml, metrics.jsonl, log.txt and checkpoints/, locked
 * while a job works on it. Rank 0 alone touches it.
 */
#ifndef TRAINER_RUN_FOLDER_H
#define TRAINER_RUN_FOLDER_H

#include "io/file.h"

struct run_folder {
    char *path;
    struct folder_lock lock;
    bool locked;
};

/* Makes the folder and locks it.
 *
 * `wanted` NULL: runs/<name of the recipe>, numbered -2, -3, ... when taken; with `resume` the
 * highest number there is. Otherwise `wanted` itself, which must hold no run unless `resume`.
 * Fails with STATUS_USAGE where a run is in the way or another job holds the folder. */
status run_folder_open(
    struct run_folder *folder, const char *wanted, const char *recipe_path, bool resume);
void run_folder_release(struct run_folder *folder);

#endif
