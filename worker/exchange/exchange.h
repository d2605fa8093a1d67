/* The sum of the gradients over all ranks, by the leaf tree (base/tree.h), for any number of ranks,
 * in buckets that start while backward still runs.
 *
 * P a power of two: every rank holds one aligned subtree, and a bucket is reduce-scattered by
 * recursive distance doubling (partner 1, 2, 4, ...) with vector halving, then gathered back the
 * same way (Thakur, Rabenseifner, Gropp 2005, with the order of partners that keeps the tree).
 * Other P: a rank holds a few subtrees; it sends each to the owner of every slice, who finishes the
 * tree; then the slices are gathered.
 *
 * All ranks must make the same calls with the same sizes in the same order.
 */
#ifndef WORKER_EXCHANGE_EXCHANGE_H
#define WORKER_EXCHANGE_EXCHANGE_H

#include "base/tree.h"
#include "worker/exchange/transport.h"

enum exchange_algorithm {
    EXCHANGE_TREE,
    EXCHANGE_RING, /* sums in ring order: breaks the same-bits promise; for comparison only */
};

#define EXCHANGE_SMALL_BUCKET 2048 /* 8 KiB: the time of such a message is latency */

struct exchange_options {
    enum exchange_algorithm algorithm;
    int leaves;         /* M */
    size_t vector_size; /* floats */
    size_t bucket_size; /* floats a bucket, at least 1, and below 2 GiB */
    /* Buckets up to so many floats are not halved where P is a power of two: every rank sends and
     * adds all of it, the same tree in half as many messages. EXCHANGE_SMALL_BUCKET, or 0: none. */
    size_t small_bucket;
};

struct exchange;

/* Takes all the memory it will need: scratch for EXCHANGE_SLOTS buckets, the most that are under
 * way at a time. STATUS_USAGE where there are more ranks than leaves, or sizes out of range. */
#define EXCHANGE_SLOTS 8
status exchange_create(struct exchange **exchange, struct transport *transport,
    const struct exchange_options *options);
void exchange_destroy(struct exchange *exchange);

/* Begins a step of `pictures` pictures. partial[k] is the sum over the rank's k-th maximal aligned
 * subtree (tree_cover of the rank's run): whole vectors, overwritten as they are used. A subtree
 * without pictures is never read. The sum over all leaves ends in `sum`, which may be partial[0]
 * and is otherwise apart from all of them; zero where there are no pictures at all. */
status exchange_begin(
    struct exchange *exchange, float *sum, float *const *partial, int64_t pictures);
/* Elements [from, to) of every partial are final: starts every bucket that is now complete. Ranges
 * come in order from 0 without gaps. */
status exchange_ready(struct exchange *exchange, size_t from, size_t to);
/* Moves all buckets on as far as they go without waiting. */
status exchange_progress(struct exchange *exchange);
/* Waits for all buckets. */
status exchange_finish(struct exchange *exchange);

/* All of it at once, for small vectors (validation): begin, ready, finish. */
status exchange_sum(struct exchange *exchange, float *sum, float *const *partial, int64_t pictures);

/* Buckets now under way, and the most that ever were at one time. */
int exchange_in_flight(const struct exchange *exchange);
int exchange_most_in_flight(const struct exchange *exchange);

/* The bytes that the algorithm makes this rank send for one step of `pictures` pictures: the
 * formula, worked out apart from the code that sends. */
int64_t exchange_bytes(
    const struct exchange_options *options, int rank, int ranks, int64_t pictures);

#endif
