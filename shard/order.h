/* The order of an epoch: pure functions from (seed, epoch, position) to record, and from a step to
 * the records of a leaf.
 *
 * A step uses `batch` consecutive positions, cut into M leaves as base/tree.h says.
 */
#ifndef SHARD_ORDER_H
#define SHARD_ORDER_H

#include "base/status.h"

#include <stdbool.h>
#include <stdint.h>

/* Records are numbered in 32 bits where random numbers are keyed by them. */
#define ORDER_RECORDS_LIMIT ((int64_t)UINT32_MAX)

/* A keyed permutation of 0 .. count-1 (a Feistel network over Philox with cycle walking): position
 * to value, without a table. 1 <= count <= ORDER_RECORDS_LIMIT; `domain` (24 bits) tells apart the
 * permutations of one epoch. */
int64_t order_permute(
    int64_t position, int64_t count, uint64_t seed, uint32_t epoch, uint32_t domain);

enum order_shuffle {
    ORDER_NONE,   /* in the order of the data set (evaluation) */
    ORDER_GLOBAL, /* every leaf draws from all shards */
    ORDER_SHARD,  /* leaf l draws from the records i = l (mod M) alone. Record i lies in shard
                     i mod S, so with M <= S leaf l uses the shards s = l (mod M), and with M > S
                     the leaves l = s (mod S) split shard s: a node needs only its own shards.
                     The sizes of base/tree.h make it come out even in a short last step too. */
};

struct order {
    int64_t records;
    int shards;    /* S */
    int leaves;    /* M */
    int64_t batch; /* pictures of a full step */
    enum order_shuffle shuffle;
    bool drop_last; /* leaves out a short last step */
    uint64_t seed;
};

/* Checks powers of two and ranges. Everything below takes an order that passed. */
status order_check(const struct order *order);

int64_t order_steps(const struct order *order);                       /* steps an epoch */
int64_t order_step_pictures(const struct order *order, int64_t step); /* of step 0 .. steps-1 */
int64_t order_leaf_pictures(const struct order *order, int64_t step, int leaf);

/* The record that is picture `index` of leaf `leaf` in step `step` (within the epoch) of `epoch`.
 * Over an epoch without drop_last every record comes exactly once, with either shuffle. */
int64_t order_record(
    const struct order *order, uint32_t epoch, int64_t step, int leaf, int64_t index);

/* Whether the leaves [first, end) draw records from a shard. */
bool order_needs_shard(const struct order *order, int first, int end, int shard);

#endif
