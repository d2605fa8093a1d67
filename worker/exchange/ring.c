/* The ring, for comparison only: each slice goes once round all nodes, each adding its own, then
 * what is made of it goes once more round to all. Every slice is added up in another order, and
 * none in the order of the tree: from three nodes on the bits differ.
 */
#include "worker/exchange/algorithm.h"

enum phase { PHASE_REDUCE, PHASE_GATHER };

/* The slice number `slice`, which may lie up to 2 P below zero. */
static struct range slice_number(const struct plan *plan, size_t size, int slice) {
    return slice_range(size, plan->grain, (slice + 2 * plan->nodes) % plan->nodes, plan->nodes);
}

/* In step i node n sends slice `first` - i to the right and takes the one before it from the left.
 */
static status start(struct column *column, const struct plan *plan, int first, int phase,
    float *from, float *into, bool in_place) {
    int right = (plan->node + 1) % plan->nodes;
    int left = (plan->node + plan->nodes - 1) % plan->nodes;
    struct range out = slice_number(plan, column->size, first - column->step);
    struct range in = slice_number(plan, column->size, first - column->step - 1);
    column_reuse_requests(column);
    TRY(column_receive(
        column, plan, left, phase, into + (in_place ? in.from : 0), in.to - in.from));
    return column_send(column, plan, right, phase, from + out.from, out.to - out.from);
}

/* After P - 1 steps node n has the sum of slice n + 1. */
static status reduce(struct column *column, const struct plan *plan, bool *done) {
    float *sum = column->partial[0];
    *done = false;
    if (column->step == 0 && !column->started) {
        column_add_up(column, plan);
    }
    while (column->step < plan->nodes - 1) {
        bool arrived;
        if (!column->started) {
            TRY(start(column, plan, plan->node, PHASE_REDUCE, sum, column->scratch, false));
            column->started = true;
        }
        TRY(column_test(column, plan, column->request_count, &arrived));
        if (!arrived) {
            return STATUS_OK;
        }
        struct range in = slice_number(plan, column->size, plan->node - column->step - 1);
        vector_add(sum + in.from, sum + in.from, column->scratch, in.to - in.from);
        column->started = false;
        column->step++;
    }
    *done = true;
    return STATUS_OK;
}

static status gather(struct column *column, const struct plan *plan, bool *done) {
    *done = false;
    while (column->step < plan->nodes - 1) {
        bool arrived;
        if (!column->started) {
            TRY(start(column, plan, plan->node + 1, PHASE_GATHER, column->out, column->out, true));
            column->started = true;
        }
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

static void need(size_t *scratch, size_t *requests, const struct plan *plan, size_t size) {
    *scratch = (size / (size_t)plan->nodes / plan->grain + 2) * plan->grain;
    *requests = 2;
}

static struct range owned(const struct plan *plan, size_t size, int node) {
    return slice_number(plan, size, node + 1);
}

const struct algorithm algorithm_ring = {need, reduce, gather, owned, false};
