/* Any number of ranks. A rank's run of leaves is a few maximal subtrees, which no rank may add up
 * by itself. So each bucket is cut into P slices; every rank sends the slices of all its partials
 * to the slices' owners; the owner adds them up as the tree says; the slices are gathered:
 *
 *     P = 3, M = 8    rank 0: leaves 0 1       rank 1: leaves 2 3 4       rank 2: leaves 5 6 7
 *     subtrees                [0 1]                    [2 3] [4]                  [5] [6 7]
 *     owner of a slice adds   ([0 1] + [2 3]) + (([4] + [5]) + [6 7])
 *
 * Bytes: a rank sends its subtrees, not one vector, so up to log2(M) times what halving sends.
 */
#include "worker/exchange/algorithm.h"

enum phase { PHASE_REDUCE, PHASE_GATHER };

/* bucket->step: 0, then ADDING with `counter` holding what was added so far, then GATHERING. */
enum { START, ADDING, GATHERING };

static bool subtree_filled(const struct plan *plan, int subtree) {
    return plan->subtree[subtree].first < plan->filled;
}

static bool subtree_mine(const struct plan *plan, int subtree) {
    return subtree >= plan->first_subtree[plan->rank] &&
           subtree < plan->first_subtree[plan->rank + 1];
}

static size_t slice_size(size_t size, int rank, int ranks) {
    return slice_start(size, rank + 1, ranks) - slice_start(size, rank, ranks);
}

static size_t longest_slice(size_t size, int ranks) {
    return size / (size_t)ranks + 1;
}

static void need(size_t *scratch, size_t *requests, const struct plan *plan, size_t size) {
    int own = plan->first_subtree[plan->rank + 1] - plan->first_subtree[plan->rank];
    int all = plan->first_subtree[plan->ranks];
    *scratch = (size_t)(all - own) * longest_slice(size, plan->ranks);
    /* Of other ranks' subtrees and to other ranks; the gather needs fewer. */
    *requests = (size_t)all + (size_t)own * (size_t)plan->ranks + 2 * (size_t)plan->ranks;
}

/* Where the slice of a subtree lies at its owner: in place, or in scratch as it was received. */
static float *slice_of(const struct bucket *bucket, const struct plan *plan, int subtree) {
    int first = plan->first_subtree[plan->rank], end = plan->first_subtree[plan->rank + 1];
    if (subtree_mine(plan, subtree)) {
        return bucket->partial[subtree - first] +
               slice_start(bucket->size, plan->rank, plan->ranks);
    }
    int place = subtree < first ? subtree : subtree - (end - first);
    return bucket->scratch + (size_t)place * longest_slice(bucket->size, plan->ranks);
}

/* One request for each subtree, in the order in which they are added, then the sends. */
static status start_reduce(struct bucket *bucket, const struct plan *plan) {
    size_t own_size = slice_size(bucket->size, plan->rank, plan->ranks);
    for (int rank = 0; rank < plan->ranks; rank++) {
        for (int s = plan->first_subtree[rank]; s < plan->first_subtree[rank + 1]; s++) {
            bool comes = rank != plan->rank && subtree_filled(plan, s);
            TRY(bucket_receive(
                bucket, plan, rank, PHASE_REDUCE, slice_of(bucket, plan, s), comes ? own_size : 0));
        }
    }
    int first = plan->first_subtree[plan->rank], end = plan->first_subtree[plan->rank + 1];
    for (int distance = 1; distance < plan->ranks; distance++) {
        int owner = (plan->rank + distance) % plan->ranks;
        for (int s = first; s < end && subtree_filled(plan, s); s++) {
            TRY(bucket_send(bucket, plan, owner, PHASE_REDUCE,
                bucket->partial[s - first] + slice_start(bucket->size, owner, plan->ranks),
                slice_size(bucket->size, owner, plan->ranks)));
        }
    }
    return STATUS_OK;
}

/* Adds subtree `s`, the next from the left, and all that is complete by it. */
static void add_subtree(struct bucket *bucket, const struct plan *plan, int s) {
    struct tree_counter *counter = &bucket->counter;
    int into, from;
    bucket->slice[tree_counter_push(counter, plan->subtree[s])] = slice_of(bucket, plan, s);
    while (tree_counter_merge(counter, &into, &from)) {
        if (counter->stack[from].first < plan->filled) {
            vector_add(bucket->slice[into], bucket->slice[into], bucket->slice[from],
                slice_size(bucket->size, plan->rank, plan->ranks));
        }
    }
}

static status start_gather(struct bucket *bucket, const struct plan *plan) {
    size_t own = slice_start(bucket->size, plan->rank, plan->ranks);
    size_t own_size = slice_size(bucket->size, plan->rank, plan->ranks);
    vector_copy(bucket->sum + own, bucket->slice[0], own_size);
    bucket_reuse_requests(bucket);
    for (int distance = 1; distance < plan->ranks; distance++) {
        int to = (plan->rank + distance) % plan->ranks;
        int from = (plan->rank + plan->ranks - distance) % plan->ranks;
        TRY(bucket_receive(bucket, plan, from, PHASE_GATHER,
            bucket->sum + slice_start(bucket->size, from, plan->ranks),
            slice_size(bucket->size, from, plan->ranks)));
        TRY(bucket_send(bucket, plan, to, PHASE_GATHER, bucket->sum + own, own_size));
    }
    return STATUS_OK;
}

static status advance(struct bucket *bucket, const struct plan *plan, bool *done) {
    int subtrees = plan->first_subtree[plan->ranks];
    *done = false;
    if (bucket->step == START) {
        TRY(start_reduce(bucket, plan));
        bucket->step = ADDING;
    }
    if (bucket->step == ADDING) {
        bool arrived = true;
        while (arrived && bucket->added < subtrees) {
            TRY(bucket_test(bucket, plan, bucket->added + 1, &arrived));
            if (arrived) {
                add_subtree(bucket, plan, bucket->added++);
            }
        }
        if (arrived) {
            /* What is still being sent may lie where the gather writes. */
            TRY(bucket_test(bucket, plan, bucket->request_count, &arrived));
        }
        if (!arrived) {
            return STATUS_OK;
        }
        TRY(start_gather(bucket, plan));
        bucket->step = GATHERING;
    }
    return bucket_test(bucket, plan, bucket->request_count, done);
}

const struct algorithm algorithm_partials = {need, advance};
