/* One pass of a net over some consecutive leaves of a step: what every layer is told.
 *
 * A rank's whole share of the batch is one pass, unless memory is short: then `chunk` cuts it into
 * aligned subtrees, one pass each. Evaluation is a pass too.
 */
#ifndef WORKER_PASS_H
#define WORKER_PASS_H

#include "base/tree.h"

#include <stdbool.h>
#include <stdint.h>

/* What the other ranks have to do with a pass, where layers need sums over the whole batch: only
 * those that declared layer->batch_sums. */
struct pass_batch {
    int64_t pictures; /* of the step, over all ranks */
    /* partial[subtrees][count] holds the sums over the pass's subtrees. The sum over all leaves of
     * all ranks ends in partial[0]; the rest of it and scratch[count] are overwritten. Waits. */
    void (*sum)(void *context, double *partial, double *scratch, int count);
    void *context;
};

struct pass {
    bool training; /* batch statistics, dropout; else running statistics */
    uint64_t seed;
    uint32_t step;          /* training steps done: keys dropout */
    int64_t first_position; /* position in the step of picture 0: keys dropout */
    int pictures;           /* in this pass, over all its leaves; may be 0 */
    int leaves;             /* in this pass */
    const int *leaf_start;  /* [leaves + 1]: leaf l holds pictures leaf_start[l] .. [l+1]-1 */
    int subtrees;           /* maximal aligned subtrees of the pass's leaves */
    const struct subtree *subtree; /* [subtrees]; first counts from the pass's first leaf: the
                                      subtree holds leaves subtree[s].first .. + leaves - 1 of
                                      leaf_start */
    float *const *gradient; /* [subtrees]: packed vectors; backward writes each parameter's sum
                               over subtree s to gradient[s] + parameter->offset */
    const struct pass_batch *batch; /* NULL: the pass is the whole batch */
};

/* Folds per-leaf partial sums to subtrees in tree order, skipping empty leaves:
 * values[leaves][count] (overwritten), out[s][0..count) for every subtree s; a subtree without
 * pictures gets zeros. For small sums: biases, scales, statistics, loss. */
void pass_fold_leaves(float *const *out, float *values, int count, const struct pass *pass);

/* The sum over all leaves of the batch in tree order: values[leaves][count] (overwritten), which
 * ends in values[0]. The pass has pictures. Waits for other ranks. */
void pass_sum_batch(double *values, double *scratch, int count, const struct pass *pass);

/* Pictures of the batch. */
int64_t pass_batch_pictures(const struct pass *pass);

#endif
