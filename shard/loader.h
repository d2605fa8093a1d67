/* Batches, read, decoded and transformed by threads ahead of the step.
 *
 * A loader serves one rank: the leaves [first_leaf, first_leaf + leaves) of every step, from a
 * given epoch and step on, for ever (training) or for one epoch (evaluation). It reads only the
 * records of those leaves. Batches come in the order of the steps. Bits depend on (seed, epoch,
 * record) alone, not on the number of threads.
 */
#ifndef SHARD_LOADER_H
#define SHARD_LOADER_H

#include "shard/dataset.h"
#include "shard/order.h"
#include "shard/transform.h"

struct batch {
    uint32_t epoch;
    int64_t step;           /* within the epoch */
    int64_t pictures;       /* here, in this rank's leaves */
    int64_t first_position; /* position within the step of the first of them */
    struct shape shape;
    const float *pixels;          /* [pictures][channels][height][width], 64-byte aligned */
    const struct target *targets; /* [pictures] */
    const int64_t *records;       /* [pictures] which record each is */
};

struct loader_options {
    struct order order;
    int first_leaf, leaves; /* leaves = 0: this rank has none and gets empty batches */
    uint32_t epoch;         /* where to start */
    int64_t step;
    uint32_t epochs; /* how many; 0: for ever */
    int threads;     /* at least 1 */
    int ahead;       /* batches held ready: 2 or more */
    bool skip_bad;   /* count and report bad records and use the next good one in their
                        place, instead of failing */
    void (*bad_record)(void *context, const char *message); /* with skip_bad; from any thread */
    void *bad_record_context;
};

struct loader;

/* Starts the threads. `dataset` and `chain` are borrowed until loader_destroy. */
status loader_create(struct loader **loader, struct dataset *dataset,
    const struct transform_chain *chain, const struct loader_options *options);
/* Stops the threads at once, wherever they are. */
void loader_destroy(struct loader *loader);

/* Waits for the next batch, which is borrowed until the next call. *batch = NULL after the last
 * epoch. A bad record fails with STATUS_INPUT naming shard, key and reason. */
status loader_next(const struct batch **batch, struct loader *loader);

/* Records read and seconds loader_next waited, since loader_create. */
struct loader_counts {
    int64_t records, bad_records;
    double seconds_waited;
};
struct loader_counts loader_get_counts(const struct loader *loader);

#endif
