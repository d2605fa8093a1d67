/* A training run on one rank: set up (run_open.c), the loop (run.c), checkpoints and resuming
 * (run_checkpoint.c), what is said on the way (run_log.c). All functions are for all ranks.
 */
#ifndef TRAINER_RUN_H
#define TRAINER_RUN_H

#include "io/log.h"
#include "shard/stage.h"
#include "trainer/coordinator.h"
#include "trainer/feed.h"
#include "trainer/job.h"
#include "trainer/run_folder.h"
#include "trainer/stragglers.h"
#include "trainer/timeline.h"
#include "worker/step.h"

#include <jansson.h>

struct run_options {
    const char *recipe_path;
    const char *folder;   /* NULL: runs/<recipe> */
    int64_t threads;      /* 0: as the recipe says */
    const char *timeline; /* the trace to write; NULL: none */
    bool resume, oversubscribe, quiet;
};

/* What is measured on the way; of this rank since the start, not since the first epoch. */
struct run_counts {
    double started, epoch_started, step_ended; /* by run_clock */
    double pictures_per_second;                /* of the last steps */
    struct step_metrics epoch;          /* sums since the epoch began, or since the resume in it */
    int64_t bytes_sent, bytes_expected; /* by the exchange; the second by the formula */
    struct rank_times times;            /* until the epoch's steps began */
};

struct run {
    const struct recipe *recipe;
    const struct run_options *options;
    struct job job;
    int threads;
    int first_core; /* of the cpuset, from which on threads are pinned; -1: they are not */
    struct feed training, validation; /* validation.dataset NULL: there is none */
    struct stage *stage[2]; /* of the two, on the first rank of a node that copied them; or NULL */
    struct net *net;
    struct optimizer *optimizer;
    struct step *step;
    struct loader *loader;
    char *canonical;
    struct state_description description;
    struct state state;
    struct figures figures; /* of the last validation; pictures = 0: none */
    struct run_counts counts;
    uint32_t stop_signals;     /* what stopped the run; 0: nothing */
    struct timeline *timeline; /* or NULL */
    status pending;            /* a failure of this rank alone, for the next agreement */
    /* Rank 0 alone: */
    struct run_folder folder;
    struct log *log;
};

/* Everything that can fail before the first step: data, network, agreement of all ranks, the run's
 * folder, resuming. Where one rank fails all do, with its message. On failure call run_close. */
status run_open(struct run *run, const struct recipe *recipe, const struct run_options *options);
void run_close(struct run *run);

/* Trains to the end, to early stopping, or to a signal. */
status run_train(struct run *run);

/* run_stage.c: for data.stage, copies the shards that each node needs, and has the data sets read
 * them. Refuses a network file system where the recipe says nothing. However long it takes, the
 * watch does not end the job for it. */
status run_stage(struct run *run);
void run_log_stage(struct run *run);

/* run_checkpoint.c */

/* On rank 0 writes the checkpoint of the present step, marks it where it is the best, and deletes
 * old ones. */
status run_save(struct run *run);
/* On rank 0 opens the folder and fills state, weights and optimizer from its newest checkpoint
 * (with
 * --resume), or weights from train.from; then hands them to all ranks and opens the log. */
status run_load(struct run *run);

/* Tells which cores the threads of every rank are pinned to. */
status run_log_cores(struct run *run);

/* run_log.c. They say something on rank 0 alone; what fails in it is kept in
 * run->pending. */
void run_log_start(struct run *run, bool resumed);
void run_log_step(struct run *run, const struct decision *decision, int64_t pictures);
void run_log_epoch(struct run *run);
void run_log_validation(struct run *run, bool best);
double run_clock(void); /* seconds */
/* Writes a line of metrics.jsonl and drops the object. */
void run_log_metrics(struct run *run, json_t *object);

/* run_ranks.c, for all ranks: what each did, at the end; and who was the slowest, and by what,
 * since the last call of run_ranks_begin or of itself. */
status run_log_ranks(struct run *run);
void run_ranks_begin(struct run *run);
status run_log_stragglers(struct run *run);

#endif
