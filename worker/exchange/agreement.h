/* What all ranks settle with each other apart from gradients: that they run the same thing, that
 * everyone is well, and what rank 0 decided. Over the transport; every call here is for
 * all ranks.
 */
#ifndef WORKER_EXCHANGE_AGREEMENT_H
#define WORKER_EXCHANGE_AGREEMENT_H

#include "worker/exchange/transport.h"

#define AGREEMENT_DECISION 128 /* bytes of rank 0's decision */
#define AGREEMENT_MESSAGE  400

/* One value that must be the same on all ranks. */
struct agreement_value {
    const char *name; /* "recipe", "data set", "build", "seed" */
    const char *value;
};

/* Compares all values over all ranks. Who differs is named on every rank, with both values:
 * "rank 2 (node7) has another build: 0a1b..., rank 0 has 77fe...". STATUS_PEER on all ranks. */
status agreement_compare(
    struct transport *transport, const struct agreement_value *values, int count);

/* Whether all ranks are well. Where one is not, all fail with the status and message of the lowest
 * such rank, prefixed "rank R (HOST): " where there is more than one rank. */
status agreement_status(struct transport *transport, status mine);
/* The same, where the wait for the others is another phase than ACTIVITY_AGREEMENT. */
status agreement_status_in(enum activity_phase phase, struct transport *transport, status mine);

/* Sums whole numbers over all ranks, so that all have them. Exact, in any order: for counts. */
status agreement_sum(struct transport *transport, int64_t *values, int count);

/* The same for numbers of which each is other than 0 on one rank at most: so no order rounds them.
 * `other` is room for as many. And the bytes that a rank sends for it. */
status agreement_sum_pieces(
    struct transport *transport, double *values, double *other, size_t count);
int64_t agreement_sum_bytes(int rank, int ranks, size_t count);

/* Brings mine[count] of every rank to rank 0: all[ranks][count], written on rank 0 alone. For what
 * each rank measured. */
status agreement_gather(struct transport *transport, double *all, const double *mine, int count);

/* The agreement of a step, without blocking: starts between forward and the first bucket. */
struct agreement;
status agreement_create(struct agreement **agreement, struct transport *transport);
void agreement_destroy(struct agreement *agreement);
/* `flags` are or-ed over all ranks (signals seen); `decision` counts on rank 0 alone. */
status agreement_start(struct agreement *agreement, status mine, uint32_t flags,
    const void *decision, size_t decision_size);
status agreement_progress(struct agreement *agreement, bool *done);
/* Waits. Fails on all ranks where any rank's status was not OK; else gives what was agreed. */
status agreement_finish(
    struct agreement *agreement, uint32_t *flags, void *decision, size_t decision_size);

/* The bytes that each rank sends for the agreement of one step. */
int64_t agreement_bytes(int ranks);

#endif
