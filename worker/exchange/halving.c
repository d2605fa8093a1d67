/* Recursive distance doubling, for P a power of two. In step i rank r works with rank r ^ 2^i, so
 * that the ranks which have met so far hold one aligned subtree of leaves:
 *
 *     step 0    0 - 1    2 - 3    4 - 5    6 - 7        each keeps one half of the bucket,
 *     step 1    0 - 2    1 - 3    4 - 6    5 - 7        then one quarter,
 *     step 2    0 - 4    1 - 5    2 - 6    3 - 7        then one eighth: its slice of the sum
 *
 * and back again in steps 2, 1, 0, when each pair swaps what it has of the sum (Thakur,
 * Rabenseifner, Gropp 2005, with their order of partners turned round, which keeps the tree). A
 * small bucket is not halved: every rank sends and adds all of it, and there is no way back; the
 * same tree in half as many messages.
 *
 * Leaves without pictures are the last ones, so in a pair only the right one may have nothing: then
 * it sends nothing and takes its half from the left one as it is.
 */
#include "worker/exchange/algorithm.h"

enum phase { PHASE_REDUCE, PHASE_GATHER };

static int step_count(int ranks) {
    int steps = 0;
    while (1 << steps < ranks) {
        steps++;
    }
    return steps;
}

struct range {
    size_t from, to;
};

/* What `rank` still holds of a bucket after `steps` halvings: bit i of the rank picks the half. */
static struct range range_after(size_t size, int rank, int steps) {
    struct range range = {0, size};
    for (int i = 0; i < steps; i++) {
        size_t middle = range.from + (range.to - range.from) / 2;
        if (rank >> i & 1) {
            range.from = middle;
        } else {
            range.to = middle;
        }
    }
    return range;
}

/* Whether the 2^step ranks that `rank` has met before `step` have any pictures. */
static bool group_filled(const struct plan *plan, int rank, int step) {
    return plan_rank_filled(plan, rank >> step << step);
}

/* What a rank holds before a step, if anything: its own subtree, then sums. */
static float *held(const struct bucket *bucket, int step) {
    return step == 0 ? bucket->partial[0] : bucket->sum;
}

static status start_reduce(struct bucket *bucket, const struct plan *plan, bool halve) {
    int step = bucket->step, partner = plan->rank ^ 1 << step;
    struct range keep = {0, bucket->size}, give = keep;
    if (halve) {
        keep = range_after(bucket->size, plan->rank, step + 1);
        give = range_after(bucket->size, partner, step + 1);
    }
    bool mine = group_filled(plan, plan->rank, step), theirs = group_filled(plan, partner, step);
    bucket_reuse_requests(bucket);
    if (theirs) {
        float *into = mine ? bucket->scratch : bucket->sum + keep.from;
        TRY(bucket_receive(bucket, plan, partner, PHASE_REDUCE, into, keep.to - keep.from));
    }
    if (mine) {
        TRY(bucket_send(bucket, plan, partner, PHASE_REDUCE, held(bucket, step) + give.from,
            give.to - give.from));
    }
    return STATUS_OK;
}

static void end_reduce(struct bucket *bucket, const struct plan *plan, bool halve) {
    int step = bucket->step, partner = plan->rank ^ 1 << step;
    struct range keep = {0, bucket->size};
    if (halve) {
        keep = range_after(bucket->size, plan->rank, step + 1);
    }
    if (!group_filled(plan, plan->rank, step)) {
        return;
    }
    const float *own = held(bucket, step) + keep.from;
    if (group_filled(plan, partner, step)) {
        vector_add(bucket->sum + keep.from, own, bucket->scratch, keep.to - keep.from);
    } else {
        vector_copy(bucket->sum + keep.from, own, keep.to - keep.from);
    }
}

static status start_gather(struct bucket *bucket, const struct plan *plan, int step) {
    int partner = plan->rank ^ 1 << step;
    struct range own = range_after(bucket->size, plan->rank, step + 1);
    struct range theirs = range_after(bucket->size, partner, step + 1);
    bucket_reuse_requests(bucket);
    TRY(bucket_receive(
        bucket, plan, partner, PHASE_GATHER, bucket->sum + theirs.from, theirs.to - theirs.from));
    TRY(bucket_send(
        bucket, plan, partner, PHASE_GATHER, bucket->sum + own.from, own.to - own.from));
    return STATUS_OK;
}

/* bucket->step counts the exchanges of a pair, there (0 .. steps - 1) and back (steps .. 2 * steps
 * - 1); bucket->started tells whether the messages of the present one are under way. */
static status advance(struct bucket *bucket, const struct plan *plan, bool *done, bool halve) {
    int steps = step_count(plan->ranks), last = halve ? 2 * steps : steps;
    if (steps == 0) {
        vector_copy(bucket->sum, bucket->partial[0], bucket->size);
    }
    while (bucket->step < last) {
        if (!bucket->started) {
            if (bucket->step < steps) {
                TRY(start_reduce(bucket, plan, halve));
            } else {
                TRY(start_gather(bucket, plan, last - 1 - bucket->step));
            }
            bucket->started = true;
        }
        bool arrived;
        TRY(bucket_test(bucket, plan, bucket->request_count, &arrived));
        if (!arrived) {
            *done = false;
            return STATUS_OK;
        }
        if (bucket->step < steps) {
            end_reduce(bucket, plan, halve);
        }
        bucket->started = false;
        bucket->step++;
    }
    *done = true;
    return STATUS_OK;
}

static status halving_advance(struct bucket *bucket, const struct plan *plan, bool *done) {
    return advance(bucket, plan, done, true);
}

static status doubling_advance(struct bucket *bucket, const struct plan *plan, bool *done) {
    return advance(bucket, plan, done, false);
}

static void halving_need(size_t *scratch, size_t *requests, const struct plan *plan, size_t size) {
    (void)plan;
    *scratch = size - size / 2;
    *requests = 2;
}

static void doubling_need(size_t *scratch, size_t *requests, const struct plan *plan, size_t size) {
    (void)plan;
    *scratch = size;
    *requests = 2;
}

const struct algorithm algorithm_halving = {halving_need, halving_advance};
const struct algorithm algorithm_doubling = {doubling_need, doubling_advance};
