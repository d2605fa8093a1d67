/* The ring, for comparison only: each slice goes once round all ranks, each adding its own, then
 * once more round to all. Every slice is added up in another order, and none in the order of the
 * tree: from three ranks on the bits differ.
 */
#include "worker/exchange/algorithm.h"

#include <string.h>

enum phase { PHASE_REDUCE, PHASE_GATHER };

/* The rank's own sum, from left to right; zero where it has no pictures. */
static void add_up_own(struct bucket *bucket, const struct plan *plan) {
    int first = plan->first_subtree[plan->rank], end = plan->first_subtree[plan->rank + 1];
    if (plan_rank_filled(plan, plan->rank)) {
        vector_copy(bucket->sum, bucket->partial[0], bucket->size);
    } else {
        memset(bucket->sum, 0, bucket->size * sizeof *bucket->sum);
    }
    for (int s = first + 1; s < end && plan->subtree[s].first < plan->filled; s++) {
        vector_add(bucket->sum, bucket->sum, bucket->partial[s - first], bucket->size);
    }
}

struct piece {
    float *values;
    size_t count;
};

/* The slice number `slice`, which may lie up to 2 P below zero. */
static struct piece piece(const struct bucket *bucket, const struct plan *plan, int slice) {
    int owner = (slice + 2 * plan->ranks) % plan->ranks;
    size_t from = slice_start(bucket->size, owner, plan->ranks);
    return (struct piece){
        bucket->sum + from, slice_start(bucket->size, owner + 1, plan->ranks) - from};
}

/* In step i < P - 1 rank r sends slice r - i and adds slice r - i - 1 to what it has; after them
 * it has the sum of slice r + 1, and sends on slice r + 1 - i in step i of the second round. */
static status start(struct bucket *bucket, const struct plan *plan) {
    int ranks = plan->ranks, round = ranks - 1, step = bucket->step;
    int right = (plan->rank + 1) % ranks, left = (plan->rank + ranks - 1) % ranks;
    bool reduce = step < round;
    int slice = reduce ? plan->rank - step : plan->rank + 1 - (step - round);
    struct piece out = piece(bucket, plan, slice), in = piece(bucket, plan, slice - 1);
    int phase = reduce ? PHASE_REDUCE : PHASE_GATHER;
    bucket_reuse_requests(bucket);
    TRY(bucket_receive(bucket, plan, left, phase, reduce ? bucket->scratch : in.values, in.count));
    return bucket_send(bucket, plan, right, phase, out.values, out.count);
}

static status advance(struct bucket *bucket, const struct plan *plan, bool *done) {
    int round = plan->ranks - 1;
    if (bucket->step == 0 && !bucket->started) {
        add_up_own(bucket, plan);
    }
    while (bucket->step < 2 * round) {
        if (!bucket->started) {
            TRY(start(bucket, plan));
            bucket->started = true;
        }
        bool arrived;
        TRY(bucket_test(bucket, plan, bucket->request_count, &arrived));
        if (!arrived) {
            *done = false;
            return STATUS_OK;
        }
        if (bucket->step < round) {
            struct piece in = piece(bucket, plan, plan->rank - bucket->step - 1);
            vector_add(in.values, in.values, bucket->scratch, in.count);
        }
        bucket->started = false;
        bucket->step++;
    }
    *done = true;
    return STATUS_OK;
}

static void need(size_t *scratch, size_t *requests, const struct plan *plan, size_t size) {
    *scratch = size / (size_t)plan->ranks + 1;
    *requests = 2;
}

const struct algorithm algorithm_ring = {need, advance};
