/* A recipe: everything a training run is told, as one struct filled from YAML by option tables.
 *
 * Every option is marked in its table as changing bits or not. Those that do make the canonical
 * text, which is kept in checkpoints and agreed on by all ranks; paths, threads, chunks, buckets,
 * cadences and the number of epochs are not in it. Model paths are relative to the recipe's file,
 * data paths to where the user stands.
 */
#ifndef TRAINER_RECIPE_H
#define TRAINER_RECIPE_H

#include "base/options.h"

#include <stdio.h>

enum recipe_bad_record { RECIPE_BAD_RECORD_FAIL, RECIPE_BAD_RECORD_SKIP };
enum recipe_last_batch { RECIPE_LAST_BATCH_KEEP, RECIPE_LAST_BATCH_DROP };
enum recipe_metric { RECIPE_METRIC_ACCURACY, RECIPE_METRIC_LOSS };

#define RECIPE_STAGE_IN_PLACE "in_place"

struct recipe_data {
    const char *train;      /* folder of the data set; NULL where only a model is meant */
    const char *validation; /* or NULL */
    int shuffle;            /* enum order_shuffle */
    struct choices transforms;
    int on_bad_record; /* enum recipe_bad_record */
    int64_t loader_threads;
    int64_t ahead;     /* batches held ready */
    const char *stage; /* folder for copies on each node, RECIPE_STAGE_IN_PLACE, or NULL */
};

struct recipe_stop {
    int metric;       /* enum recipe_metric: also decides which checkpoint is best */
    int64_t patience; /* validations without a better value; 0: never stop early */
};

struct recipe_train {
    int64_t epochs, steps; /* steps > 0 counts instead of epochs */
    int64_t batch, leaf;   /* pictures */
    int64_t seed;
    struct choice loss, optimizer, schedule;
    double clip_norm; /* 0: not clipped */
    double ema;       /* 0: no average is kept */
    int last_batch;   /* enum recipe_last_batch */
    int64_t validate_every_epochs, validate_every_steps;
    struct recipe_stop stop;
    const char *from; /* checkpoint to take weights from, or NULL */
    struct option_texts from_new;
    int64_t local_steps; /* between averages of the weights; 1: ranks sum every gradient */
    int64_t chunk;       /* leaves a pass; 0: all of the rank's */
    int recompute;       /* enum recompute */
    int64_t threads;
};

struct recipe_engine {
    int kernels;  /* enum engine_kernels */
    int winograd; /* enum engine_winograd */
};

struct recipe_exchange {
    int algorithm;  /* enum exchange_algorithm */
    int wire;       /* enum exchange_wire */
    int64_t bucket; /* bytes */
    int progress;   /* enum exchange_progress_by */
};

struct recipe_checkpoint {
    int64_t every_steps, every_epochs, keep;
};

/* Of heartbeat_seconds: less is refused; and with several hosts less is warned of. */
#define RECIPE_HEARTBEAT_SHORTEST 1
#define RECIPE_HEARTBEAT_HOSTS    7

/* Seconds; 0: never. */
struct recipe_watch {
    double warn_seconds, stop_seconds, heartbeat_seconds;
};

struct recipe {
    const struct node *model; /* the mapping with `input` and `layers` */
    struct recipe_data data;
    struct recipe_train train;
    struct recipe_engine engine;
    struct recipe_exchange exchange;
    struct recipe_checkpoint checkpoint;
    struct recipe_watch watch;
    struct document document; /* owns all of the above */
};

/* The table of all keys, for help and docs. */
extern const struct option recipe_options[];

/* Reads a recipe, the model it names, and applies `count` overrides "key=value". Checks everything
 * that needs neither data nor ranks. Fails with STATUS_USAGE naming file, line and column, or
 * STATUS_NOT_FOUND. */
status recipe_load(
    struct recipe *recipe, const char *path, const char *const *overrides, int count);

/* The recipe of a bare model, the file `path`: `text` is ours and says what overrides leave open.
 */
status recipe_for_model(struct recipe *recipe, const char *path, const char *text,
    const char *const *overrides, int count);

/* From a canonical text (of a checkpoint), which includes nothing; `name` stands for the file in
 * messages. */
status recipe_parse(struct recipe *recipe, const char *text, size_t size, const char *name);
void recipe_release(struct recipe *recipe);

int recipe_leaves(const struct recipe *recipe); /* M = batch / leaf */

/* Writes everything (a recipe that can be run again), model included. */
void recipe_write(FILE *out, const struct recipe *recipe);

/* What changes bits, as YAML; freed by free(). */
status recipe_canonical(char **text, const struct recipe *recipe);

/* Compares two canonical texts; where they differ, fails with STATUS_USAGE and the key and both
 * values: "train.batch is 64 here and 128 in `other`". */
status recipe_compare(const char *mine, const char *theirs, const char *other);

#endif
