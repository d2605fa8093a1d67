/* Recursive distance doubling, for a power of two of nodes. In step i node n works with node
 * n ^ 2^i, so that the nodes which have met so far hold one aligned subtree of leaves:
 *
 *     step 0    0 - 1    2 - 3    4 - 5    6 - 7        each keeps one half of the column,
 *     step 1    0 - 2    1 - 3    4 - 6    5 - 7        then one quarter,
 *     step 2    0 - 4    1 - 5    2 - 6    3 - 7        then one eighth: its slice of the sum
 *
 * and, the results being made of the sums, back again in steps 2, 1, 0, when each pair swaps what
 * it has of them (Thakur, Rabenseifner, Gropp 2005, with their order of partners turned round,
 * which keeps the tree). A small column is not halved: every node sends and adds all of it, makes
 * the same results of it, and there is no way back; the same tree in half as many messages.
 *
 * Leaves without pictures are the last ones, so in a pair only the right one may have nothing: then
 * it sends nothing and takes its half from the left one as it is.
 */
#include "worker/exchange/algorithm.h"

enum phase { PHASE_REDUCE, PHASE_GATHER };

static int step_count(const struct plan *plan) {
    int steps = 0;
    while (1 << steps < plan->nodes) {
        steps++;
    }
    return steps;
}

/* What `node` still holds of a column after `steps` halvings: bit i of the node picks the half. */
static struct range range_after(const struct plan *plan, size_t size, int node, int steps) {
    size_t from = 0, to = (size + plan->grain - 1) / plan->grain;
    for (int i = 0; i < steps; i++) {
        size_t middle = from + (to - from) / 2;
        if (node >> i & 1) {
            from = middle;
        } else {
            to = middle;
        }
    }
    to *= plan->grain;
    from *= plan->grain;
    return (struct range){from < size ? from : size, to < size ? to : size};
}

/* Whether the 2^step nodes that `node` has met before `step` have any pictures. */
static bool group_filled(const struct plan *plan, int node, int step) {
    return plan_node_filled(plan, node >> step << step);
}

static status start_reduce(struct column *column, const struct plan *plan, bool halve) {
    int step = column->step, partner = plan->node ^ 1 << step;
    struct range keep = {0, column->size}, give = keep;
    if (halve) {
        keep = range_after(plan, column->size, plan->node, step + 1);
        give = range_after(plan, column->size, partner, step + 1);
    }
    float *sum = column->partial[0];
    bool mine = group_filled(plan, plan->node, step), theirs = group_filled(plan, partner, step);
    column_reuse_requests(column);
    if (theirs) {
        float *into = mine ? column->scratch : sum + keep.from;
        TRY(column_receive(column, plan, partner, PHASE_REDUCE, into, keep.to - keep.from));
    }
    if (mine) {
        TRY(column_send(column, plan, partner, PHASE_REDUCE, sum + give.from, give.to - give.from));
    }
    return STATUS_OK;
}

static void end_reduce(struct column *column, const struct plan *plan, bool halve) {
    int step = column->step, partner = plan->node ^ 1 << step;
    struct range keep = {0, column->size};
    if (halve) {
        keep = range_after(plan, column->size, plan->node, step + 1);
    }
    if (group_filled(plan, plan->node, step) && group_filled(plan, partner, step)) {
        float *sum = column->partial[0] + keep.from;
        vector_add(sum, sum, column->scratch, keep.to - keep.from);
    }
}

static status start_gather(struct column *column, const struct plan *plan, int step) {
    int partner = plan->node ^ 1 << step;
    struct range own = range_after(plan, column->size, plan->node, step + 1);
    struct range theirs = range_after(plan, column->size, partner, step + 1);
    column_reuse_requests(column);
    TRY(column_receive(
        column, plan, partner, PHASE_GATHER, column->out + theirs.from, theirs.to - theirs.from));
    return column_send(
        column, plan, partner, PHASE_GATHER, column->out + own.from, own.to - own.from);
}

static status reduce(struct column *column, const struct plan *plan, bool *done, bool halve) {
    *done = false;
    while (column->step < step_count(plan)) {
        if (!column->started) {
            TRY(start_reduce(column, plan, halve));
            column->started = true;
        }
        bool arrived;
        TRY(column_test(column, plan, column->request_count, &arrived));
        if (!arrived) {
            return STATUS_OK;
        }
        end_reduce(column, plan, halve);
        column->started = false;
        column->step++;
    }
    *done = true;
    return STATUS_OK;
}

static status halving_reduce(struct column *column, const struct plan *plan, bool *done) {
    return reduce(column, plan, done, true);
}

static status doubling_reduce(struct column *column, const struct plan *plan, bool *done) {
    return reduce(column, plan, done, false);
}

static status halving_gather(struct column *column, const struct plan *plan, bool *done) {
    int steps = step_count(plan);
    *done = false;
    while (column->step < steps) {
        if (!column->started) {
            TRY(start_gather(column, plan, steps - 1 - column->step));
            column->started = true;
        }
        bool arrived;
        TRY(column_test(column, plan, column->request_count, &arrived));
        if (!arrived) {
            return STATUS_OK;
        }
        column->started = false;
        column->step++;
    }
    *done = true;
    return STATUS_OK;
}

static status doubling_gather(struct column *column, const struct plan *plan, bool *done) {
    (void)column;
    (void)plan;
    *done = true; /* every node has made all results by itself */
    return STATUS_OK;
}

static void halving_need(size_t *scratch, size_t *requests, const struct plan *plan, size_t size) {
    size_t half = size - size / 2 + plan->grain;
    *scratch = half < size ? half : size;
    *requests = 2;
}

static void doubling_need(size_t *scratch, size_t *requests, const struct plan *plan, size_t size) {
    (void)plan;
    *scratch = size;
    *requests = 2;
}

static struct range halving_owned(const struct plan *plan, size_t size, int node) {
    return range_after(plan, size, node, step_count(plan));
}

static struct range doubling_owned(const struct plan *plan, size_t size, int node) {
    (void)plan;
    (void)node;
    return (struct range){0, size};
}

const struct algorithm algorithm_halving = {
    halving_need, halving_reduce, halving_gather, halving_owned, false};
const struct algorithm algorithm_doubling = {
    doubling_need, doubling_reduce, doubling_gather, doubling_owned, true};
