/* The sum that the transport has of its own, for whoever trusts his MPI more than ours, or has a
 * network that adds up by itself. In which order it adds is its own affair: the bits depend on the
 * ranks and on the MPI, but MPI sees to it that all ranks get the same ones (MPI 3.1, 5.9.1). So
 * every rank makes all results by itself, with state of its own for all of them, and there is no
 * way back.
 */
#include "worker/exchange/algorithm.h"

static status reduce(struct column *column, const struct plan *plan, bool *done) {
    *done = plan->nodes == 1;
    if (*done) {
        return STATUS_OK;
    }
    if (!column->started) {
        column_add_up(column, plan);
        TRY(plan->transport->sum(
            plan->transport, &column->requests[0], column->partial[0], column->size));
        column->request_count = 1;
        column->started = true;
    }
    return column_test(column, plan, 1, done);
}

static status gather(struct column *column, const struct plan *plan, bool *done) {
    (void)column;
    (void)plan;
    *done = true;
    return STATUS_OK;
}

static void need(size_t *scratch, size_t *requests, const struct plan *plan, size_t size) {
    (void)plan;
    (void)size;
    *scratch = 0;
    *requests = 1;
}

static struct range owned(const struct plan *plan, size_t size, int node) {
    (void)plan;
    (void)node;
    return (struct range){0, size};
}

const struct algorithm algorithm_native = {need, reduce, gather, owned, true};
