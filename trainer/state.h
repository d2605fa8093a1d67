/* What is in a checkpoint: weights under their usual names and in standard order, the optimizer's
 * vectors as optimizer.<vector>.<name>, with train.ema the averaged weights as ema.<name>, with
 * bf16 on the wire what it left out as exchange.<owed, node0, ...>.<name>, and as metadata where
 * the run stands.
 *
 * Nothing in it depends on ranks, threads, hosts, paths or time: after the same step the file is
 * the same, byte for byte, however many ranks did the work.
 */
#ifndef TRAINER_STATE_H
#define TRAINER_STATE_H

#include "io/safetensors.h"
#include "schedulers/schedule.h"
#include "shard/dataset.h"
#include "worker/net.h"
#include "worker/optimizer.h"
#include "worker/step.h"

/* Where a run stands: plain bytes, so that rank 0 can hand it to the others. */
struct state {
    int64_t step;            /* training steps done */
    int64_t steps;           /* of the whole run, as planned when the checkpoint was written */
    int64_t steps_per_epoch; /* so that epoch = step / steps_per_epoch */
    int64_t validated;       /* step of the last validation; -1: none */
    int64_t best_step;       /* step of the best validation; -1: none */
    double best_value;
    int64_t since_best; /* validations since */
    struct schedule_state schedule;
};

/* At the start of a run. */
void state_init(struct state *state, int64_t steps, int64_t steps_per_epoch);

/* What goes with the vectors and the state into the file and never changes during a run. */
struct state_description {
    const char *recipe; /* canonical text */
    int64_t seed;
    const char *best_metric;                /* "accuracy" or "loss" */
    const struct dataset_information *data; /* of the training set: digest, classes, shape */
    const char *validation_digest;          /* where validation steers the schedule; or NULL */
};

/* What is trained. The optimizer's vectors lie with the ranks that own their pieces, which must
 * serve (step_serve) while rank 0 saves or loads; with `step` NULL all are here. */
struct state_parts {
    struct net *net;
    struct optimizer *optimizer;
    struct step *step;
};

/* Writes the checkpoint of state->step atomically. Fails with STATUS_NUMERIC, naming the parameter,
 * where a weight is not finite: such a checkpoint is never written. */
status state_save(const char *path, const struct state *state,
    const struct state_description *description, const struct state_parts *parts);

/* Fills state, weights and optimizer from a checkpoint of the same run. Fails with STATUS_INPUT
 * where the file is no checkpoint of Convoy or of another network (naming the layer). */
status state_load(struct state *state, const struct state_parts *parts,
    const struct safetensors_file *file, const char *path);

/* Whether the file has what the exchange left out for as many nodes as there are now. If not,
 * state_load passes over it, and nothing is left out yet. */
bool state_fits_exchange(const struct state_parts *parts, const struct safetensors_file *file);

/* Checks that a checkpoint belongs to this run: canonical recipe and data set. Fails with
 * STATUS_USAGE and the key and both values. */
status state_check(const struct safetensors_file *file, const char *path,
    const struct state_description *description);

/* Weights by name from any safetensors file, or with `averaged` those of train.ema. `fresh` names
 * layers that keep the weights they have; any other layer that the file lacks, or has in another
 * shape, is an error that names it. */
status state_load_weights(struct net *net, const struct safetensors_file *file, const char *path,
    bool averaged, const struct option_texts *fresh);

/* A value that every checkpoint of Convoy has; fails with STATUS_INPUT where it is missing. */
status state_metadata(
    const char **value, const struct safetensors_file *file, const char *path, const char *key);
status state_metadata_integer(
    int64_t *value, const struct safetensors_file *file, const char *path, const char *key);

/* Names of the classes, from the metadata: *names is freed by state_release_class_names. */
status state_class_names(
    char ***names, int *count, const struct safetensors_file *file, const char *path);
void state_release_class_names(char **names, int count);

#endif
