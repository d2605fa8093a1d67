/* Sums over the leaves of all ranks in the middle of a pass, by the leaf tree: of the few numbers
 * that a layer must know before it can go on (batch norm over the whole batch).
 *
 * A node of the tree is completed by the rank that owns its first leaf; the owner of the right
 * child sends that there. The sum over all leaves ends on rank 0 and goes back to all ranks with
 * pictures by a binomial tree: at most 2 log2(P) messages one after the other, of all numbers.
 */
#ifndef WORKER_EXCHANGE_TREE_SUM_H
#define WORKER_EXCHANGE_TREE_SUM_H

#include "worker/exchange/transport.h"

struct tree_sum {
    struct transport *transport;
    int leaves; /* M, a power of two */
    int filled; /* leaves [0, filled) have pictures in this step: at least 1 */
};

/* For all ranks that have pictures, and no others. partial[s][count] is the sum over the rank's
 * s-th maximal aligned subtree (tree_cover of its run), one after the other; those without pictures
 * are never read. Waits. The sum over all leaves ends in partial[0]; the rest of `partial`, and
 * scratch[count], are overwritten. */
status tree_sum(const struct tree_sum *sum, double *partial, double *scratch, int count);

/* The bytes that `rank` of `ranks` sends for that: the formula. */
int64_t tree_sum_bytes(int rank, int ranks, int leaves, int filled, int64_t count);

#endif
