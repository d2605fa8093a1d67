/* What an algorithm of the exchange is: for the files of this folder alone.
 *
 * A bucket is a state machine. `advance` moves it on as far as it goes without waiting: it starts
 * sends and receives in the slot's requests, and once they are complete adds and starts the next
 * ones. One table an algorithm; exchange.c chooses one for each bucket by its size, the same on all
 * ranks.
 */
#ifndef WORKER_EXCHANGE_ALGORITHM_H
#define WORKER_EXCHANGE_ALGORITHM_H

#include "worker/exchange/exchange.h"
#include "worker/exchange/vector.h"

/* What never changes after exchange_create, and what one step sets. */
struct plan {
    struct transport *transport;
    int rank, ranks, leaves;
    struct subtree *subtree; /* the maximal subtrees of all ranks, from left to right */
    int *first_subtree;      /* [ranks + 1]: rank r has first_subtree[r] .. [r + 1] - 1 of them */
    int filled;              /* leaves [0, filled) have pictures in this step, the others none */
};

/* One bucket under way, in one of the slots. */
struct bucket {
    const struct algorithm *algorithm; /* NULL: the slot is free */
    size_t size;                       /* floats */
    float *sum;                        /* where the bucket begins in `sum` and in each partial */
    float *partial[TREE_SUBTREES_LIMIT];
    int tag; /* first of ALGORITHM_TAGS tags */
    int64_t number;
    double began; /* by activity_clock */
    float *scratch;
    struct transport_request *requests;
    int request_count; /* in use */
    int complete;      /* of these, from the first on, so many are known to be complete */
    /* The algorithm's own place, all zero at the start: */
    int step;
    bool started; /* the messages of this step are under way */
    int added;    /* subtrees added so far, from the left, by `counter`, which leaves their sums */
    struct tree_counter counter;
    float *slice[TREE_SUBTREES_LIMIT]; /* at these places */
};

#define ALGORITHM_TAGS 4

struct algorithm {
    /* Floats of scratch and requests that a bucket of `size` floats takes at most. */
    void (*need)(size_t *scratch, size_t *requests, const struct plan *plan, size_t size);
    /* Only called where some leaf has pictures. */
    status (*advance)(struct bucket *bucket, const struct plan *plan, bool *done);
};

/* Power of two only: recursive distance doubling, with vector halving and with whole vectors. */
extern const struct algorithm algorithm_halving, algorithm_doubling;
/* Any number of ranks: every rank sends its partials to the owners of the slices. */
extern const struct algorithm algorithm_partials;
/* For comparison: other sums. */
extern const struct algorithm algorithm_ring;

/* The algorithm of a bucket of `size` floats. */
const struct algorithm *algorithm_choose(
    const struct exchange_options *options, int ranks, size_t size);

/* Whether `rank` has pictures: leaves fill up from the first. */
bool plan_rank_filled(const struct plan *plan, int rank);

/* The slice of a bucket that `rank` owns: [slice_start(rank), slice_start(rank + 1)). */
size_t slice_start(size_t size, int rank, int ranks);

/* Start a send or receive of `count` floats in the bucket's next request; nothing where count = 0,
 * but a request is used up all the same. `phase` < ALGORITHM_TAGS. */
status bucket_send(struct bucket *bucket, const struct plan *plan, int peer, int phase,
    const float *values, size_t count);
status bucket_receive(struct bucket *bucket, const struct plan *plan, int peer, int phase,
    float *values, size_t count);
/* Whether the first `count` requests are complete. */
status bucket_test(struct bucket *bucket, const struct plan *plan, int count, bool *done);
/* Takes all requests, complete, for use again. */
void bucket_reuse_requests(struct bucket *bucket);

#endif
