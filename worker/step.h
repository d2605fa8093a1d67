/* One training step of one rank, and one step of an evaluation: what ties net, exchange and
 * optimizer together. A step of the trainer reads
 *
 *     mine = loader_next(&batch, loader);                                 record, batch
 *     TRY(step_meet(step, mine));                                         does everyone come?
 *     mine = step_forward(step, number, pictures, pixels, targets);       activations, loss
 *     TRY(step_agree(step, mine, flags, &decision, sizeof decision));     is everyone well?
 *     TRY(step_backward(step, &flags, &decision, sizeof decision));       gradients, exchange,
 * update
 *
 * A step belongs to one rank, but every function marked [all] is called by all ranks alike, also by
 * those that have no pictures in it. Bits depend on the batch's tree alone (base/tree.h): not on
 * ranks, chunk, bucket or threads.
 */
#ifndef WORKER_STEP_H
#define WORKER_STEP_H

#include "worker/exchange/agreement.h"
#include "worker/exchange/exchange.h"
#include "worker/net.h"
#include "worker/optimizer.h"

struct step_options {
    int leaves;    /* M of the summation tree, a power of two */
    int64_t batch; /* the most pictures of a step, over all ranks */
    int chunk;     /* the most leaves of one pass, a power of two; 0: the rank's share at once.
                      Less memory for activations, more for gradients; changes no bit */
    size_t bucket; /* bytes of a bucket of gradients, at least 4 */
    uint64_t seed; /* keys dropout */
    enum exchange_algorithm algorithm;
    enum exchange_progress_by progress;
    enum exchange_wire wire;
    /* Ranks take steps of their own, until step_average: see there. */
    bool local;
    bool alone;  /* share no memory with other ranks of the node */
    int threads; /* of this rank; 0: 1 */
    /* The learning rate that a decision of rank 0 carries. */
    double (*rate)(const void *decision);
};

/* What the net of this rank must have room for: to be put into struct net_options. */
struct step_room {
    int pictures, leaves, leaf; /* the most of one pass, and of one leaf */
};
struct step_room step_room(const struct step_options *options, int rank, int ranks);

/* How many gradient vectors a rank holds: one, or with chunks or an uneven share a few. Fails for
 * want of memory. */
status step_gradient_vectors(int *vectors, const struct step_options *options, int rank, int ranks);

struct step;

/* [all] Takes all memory. net, optimizer and transport are borrowed; `optimizer` NULL: evaluation
 * only, for a net without training. With an optimizer the step takes the net's weights over, which
 * must be the same on all ranks: ranks of a node that share memory have them once, and a net that
 * outlives its step is left without any. All ranks fail alike: with STATUS_USAGE where there are
 * more ranks than leaves or the sizes are out of range, STATUS_SYSTEM without memory. */
status step_create(struct step **step, struct net *net, struct optimizer *optimizer,
    struct transport *transport, const struct step_options *options);
void step_destroy(struct step *step);

/* [all] Where layers sum over the whole batch in forward (batch norm with sync), all ranks must run
 * it or none: agrees on that, and fails on all ranks with the message of the one that is not well.
 * Else does nothing, and leaves `mine` to step_agree. */
status step_meet(struct step *step, status mine);

/* Runs the rank's share of a step of `pictures` pictures (over all ranks) forward: pixels
 * [n][channels][height][width] and targets[n] are of its own leaves, n = step_pictures(). `number`
 * counts the training steps done before. With chunks, all passes but the last also run backward
 * here. Both are borrowed until step_backward. STATUS_NUMERIC, naming step and layer, where the
 * loss is not finite: for step_agree, since the other ranks do not know. */
status step_forward(struct step *step, int64_t number, int64_t pictures, const float *pixels,
    const struct target *targets);

/* The rank's own pictures in a step of `pictures`. */
int64_t step_pictures(const struct step *step, int64_t pictures);

/* [all] Starts the agreement of the step: this rank's status so far (of reading, of step_forward),
 * its flags, and on rank 0 the decision. Does not wait. */
status step_agree(
    struct step *step, status mine, uint32_t flags, const void *decision, size_t decision_size);

/* [all] Runs backward; below it the agreement, then the buckets of the exchange move on: whoever
 * owns a piece of the sums updates the weights by it. Waits for all of them. Where some rank was
 * not well, no bucket is started, no weight changes and all ranks fail with its message. Else gives
 * the flags of all ranks, or-ed, and the decision of rank 0. */
status step_backward(struct step *step, uint32_t *flags, void *decision, size_t decision_size);

/* [all] With `local`, every step updates the rank's own weights by the mean gradient of its own
 * pictures, with its own state of the optimizer and norms of its own gradient; only the metrics are
 * summed over all ranks. This makes weights, running statistics and the optimizer's vectors the
 * same on all ranks again: their means, weighted by the pictures that each rank has seen since the
 * last call (local SGD: Stich 2019; Lin, Stich, Patel, Jaggi 2020; with momentum averaged too: Yu,
 * Jin, Yang 2019). Validation and checkpoints want that done before. */
status step_average(struct step *step);
int64_t step_average_bytes(const struct step *step); /* that this rank sends for it */

/* Sums over pictures and over all ranks; the same on every rank. */
struct step_metrics {
    int64_t pictures, correct, correct_5;
    double loss; /* sum; divide by pictures for the mean */
};
/* Of the step, after step_backward. */
struct step_metrics step_get_metrics(const struct step *step);

/* [all] One step of an evaluation: the rank's share of `pictures` pictures forward, its metrics
 * added to *metrics, which end the same for any number of ranks. `mine` is the rank's status so
 * far; where a rank is not well all fail. `seen` (may be NULL) is called after each pass, when
 * net_output gives the outputs of pictures [first, first + pictures) of the rank's share. */
struct step_viewer {
    void (*seen)(void *context, int first, int pictures);
    void *context;
};
status step_evaluate(struct step *step, struct step_metrics *metrics, status mine, int64_t pictures,
    const float *pixels, const struct target *targets, const struct step_viewer *viewer);

/* What a checkpoint holds beside the weights, vector by vector: the optimizer's, then what bf16 on
 * the wire has left out, `owed` and `node0`, `node1`, ... (exchange.h). Names are good until the
 * next call. */
int step_vector_count(const struct step *step);
const char *step_vector_name(struct step *step, int vector);

/* These vectors lie in pieces with those who own them. To save and load them rank 0 asks
 * for one parameter after the other, and the others serve, until it says that it is done
 * (step_owners.c). packed[parameter->packed] is the parameter's own part. */
status step_collect(
    struct step *step, float *packed, int vector, const struct parameter *parameter);
status step_deal(
    struct step *step, const float *packed, int vector, const struct parameter *parameter);
status step_end_service(struct step *step);
/* On all other ranks: until rank 0 calls step_end_service. */
status step_serve(struct step *step);

/* [all] Brings all of one of the optimizer's vectors to all ranks: to *whole, good until the next
 * step. */
status step_assemble(struct step *step, float **whole, int vector);

/* [all] Brings rank 0's weights to all ranks, and with `local` its vectors of the optimizer. */
status step_spread_weights(struct step *step);

/* Why ranks of a node share no memory though they were to; NULL: nothing went wrong. */
const char *step_problem(const struct step *step);

/* Seconds since step_create: computing (forward, backward, update), and waiting for other ranks,
 * also where layers do so in the middle of a pass. */
struct step_times {
    double compute, waiting;
};
struct step_times step_get_times(const struct step *step);

/* Who moves the exchange of gradients on. */
enum exchange_progress_by step_get_progress(const struct step *step);

/* The most buckets that were under way at one time; and the bytes that this rank sends for
 * agreement and exchange of a step of `pictures` pictures, by the formula. */
int step_most_in_flight(const struct step *step);
int64_t step_exchange_bytes(const struct step *step, int64_t pictures);

#endif
