/* Optimizers: one file each in worker/optimizers/, registered in worker/optimizers/list.c.
 *
 * An update is elementwise over any range of the packed vector, so that whoever owns a range can
 * do it. Statistics (running mean and variance) are not the optimizer's: optimizer_update sees to
 * them by parameter kind.
 *
 * Norms. Clipping goes by the norm of the whole gradient, lars and lamb by those of each parameter,
 * which the owner of a range cannot know. They come in rounds before the update:
 *
 *     for (int round = 0; round < optimizer_rounds(optimizer); round++) {
 *         optimizer_measure(optimizer, round, gradient, from, to, step);    each owner its ranges
 *         ... sums, count = optimizer_sums(optimizer): added up over all owners ...
 *         optimizer_conclude(optimizer, round, step);
 *     }
 *     optimizer_update(optimizer, gradient, from, to, step);                each owner its ranges
 *
 * See worker/norms.h for why the bits do not depend on who measured what.
 */
#ifndef WORKER_OPTIMIZER_H
#define WORKER_OPTIMIZER_H

#include "base/options.h"
#include "worker/net.h"
#include "worker/norms.h"

struct optimizer_step {
    double rate;
    int64_t pictures; /* the gradient is divided by it */
    int64_t step;     /* updates done before this one, from 0 */
};

/* A piece of one parameter. */
struct optimizer_piece {
    float *weights, *const *state; /* state[v][0 .. count) */
    const float *gradient;         /* the sum over the step's pictures */
    size_t count;
    enum parameter_kind kind;
    float scale;        /* makes the sum the mean, clipped where it is to be */
    const double *norm; /* [NORMS] of the whole parameter, of what `measure` took */
};

struct optimizer_operations {
    struct kind kind;
    int vectors;                     /* of state: momentum is 1 */
    const char *const *vector_names; /* "momentum": names in the checkpoint */
    /* Before the update, for every piece once: the sums of squares over the piece of the values
     * whose norms the update wants; may move the state on. NULL: it wants none. */
    void (*measure)(double squares[NORMS], const struct optimizer_piece *piece, const void *options,
        const struct optimizer_step *step);
    /* Moves weights and state of the piece on. */
    void (*update)(const struct optimizer_piece *piece, const void *options,
        const struct optimizer_step *step, const struct kernels *kernels);
};

extern const struct kind *const optimizers[]; /* NULL-terminated */

struct optimizer_options {
    const struct choice *choice; /* of `optimizers`; its values outlive the optimizer */
    int threads;
    double clip_norm; /* the most that the norm of the gradient may be; 0: not clipped */
    double ema;       /* share of the averaged weights that stays at each step; 0: none are kept */
};

struct optimizer;
status optimizer_create(
    struct optimizer **optimizer, struct net *net, const struct optimizer_options *options);
void optimizer_destroy(struct optimizer *optimizer);

/* Rounds of norms before every update; the same on all ranks. */
int optimizer_rounds(const struct optimizer *optimizer);
/* Elements [from, to) of the packed vector, for round `round`; both are multiples of NORMS_BLOCK,
 * or the vector's end. `gradient` is a whole vector, reduced. Every element is measured once, by
 * one owner. */
void optimizer_measure(struct optimizer *optimizer, int round, const float *gradient, size_t from,
    size_t to, const struct optimizer_step *step);
/* What was measured: *count numbers, 0 where this owner has measured nothing. Added up over all
 * owners, in any order, before the round is concluded: all have the same then. */
double *optimizer_sums(struct optimizer *optimizer, size_t *count);
void optimizer_conclude(struct optimizer *optimizer, int round, const struct optimizer_step *step);

/* Elements [from, to) of the packed vector, any cut; `gradient` is a whole vector, reduced. */
void optimizer_update(struct optimizer *optimizer, const float *gradient, size_t from, size_t to,
    const struct optimizer_step *step);
/* The same on the calling thread alone, for several at a time; gradient[0] is element `from`. */
void optimizer_update_piece(struct optimizer *optimizer, const float *gradient, size_t from,
    size_t to, const struct optimizer_step *step);
/* Takes the memory of elements [from, to) of the state, which before has none and is zero: who owns
 * a piece calls this before the first step. */
void optimizer_touch(struct optimizer *optimizer, size_t from, size_t to);

/* All of it, for one who owns the whole vector. */
void optimizer_update_all(
    struct optimizer *optimizer, const float *gradient, const struct optimizer_step *step);

/* State vectors (packed, of which the owned pieces count), by number and name, to save and load.
 * With options.ema the last is the average of the weights, statistics included, that each update
 * moves on: it begins at the first weights, and in step t = 0, 1, ... a share of min(ema, (1 + t) /
 * (10 + t)) stays, so that these are soon forgotten. */
int optimizer_vector_count(const struct optimizer *optimizer);
const char *optimizer_vector_name(const struct optimizer *optimizer, int vector);
float *optimizer_vector(struct optimizer *optimizer, int vector);
/* The number of the average; -1: none is kept. */
int optimizer_average(const struct optimizer *optimizer);

#endif
