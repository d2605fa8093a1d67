/* The checkpoints of a run: RUN/checkpoints/step-000001234.safetensors, best.safetensors beside.
 *
 * What is in one is the trainer's business (trainer/state.h); here is how they are named, kept and
 * found again. The latest is the one with the highest step that verifies, never a pointer.
 */
#ifndef IO_CHECKPOINT_H
#define IO_CHECKPOINT_H

#include "io/safetensors.h"

/* Where to write the checkpoint of `step`: RUN/checkpoints/step-%09lld.safetensors, freed by
 * free(). Makes the folder. */
status checkpoint_path(char **path, const char *run, int64_t step);

/* Called for every checkpoint passed over because it is damaged, with its path and the reason. */
typedef void (*checkpoint_skipped)(void *context, const char *path, const char *reason);

/* Opens the newest checkpoint of the run that verifies in full; *path is freed by free().
 * STATUS_NOT_FOUND where there is none (or none that verifies). Damaged ones are left in place and
 * reported through `skipped` (which may be NULL); a checkpoint that the system does not let us read
 * is a failure, not a reason to go on from an older one. */
status checkpoint_open_latest(struct safetensors_file **file, char **path, const char *run,
    checkpoint_skipped skipped, void *context);

/* Opens and verifies PATH: a checkpoint or any safetensors file, a run folder (its latest, as
 * above) or RUN/checkpoints. *path_found is what was opened, freed by free(). */
status checkpoint_open(struct safetensors_file **file, char **path_found, const char *path,
    checkpoint_skipped skipped, void *context);

/* After the checkpoint of step `newest` was written: deletes all but the `keep` newest up to it
 * (keep = 0: deletes none), never `best_step`'s (-1: none), and temporary files left by killed
 * jobs. Checkpoints above `newest` are damaged ones that a resumed run passed over: they neither
 * count nor go, or they would push out the good ones; the run writes over them when it gets there.
 * Only the job that holds the run's lock may call this. */
status checkpoint_retain(const char *run, int64_t newest, int keep, int64_t best_step);

/* Points RUN/checkpoints/best.safetensors at the checkpoint of `step`: a hard link made under a
 * temporary name and renamed; a copy where the file system has no links. Fails with
 * STATUS_NOT_FOUND where that checkpoint is not there. */
status checkpoint_mark_best(const char *run, int64_t step);

#endif
