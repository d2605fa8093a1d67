/* What a step is made of: for step.c and step_passes.c alone. */
#ifndef WORKER_STEP_INTERNAL_H
#define WORKER_STEP_INTERNAL_H

#include "base/memory.h"
#include "worker/exchange/tree_sum.h"
#include "worker/step.h"

/* Adding one partial into another, to be done when both are final. */
struct fold {
    int into, from;
};

/* The partials of a step while its passes come one by one: buffer b holds the sum over the subtree
 * counter.stack[b]. After the last pass they are the rank's maximal subtrees. */
struct partials {
    struct tree_counter counter;
    struct fold fold[2 * TREE_SUBTREES_LIMIT]; /* owed since the last pass */
    int folds;
};

struct step {
    struct net *net;
    struct optimizer *optimizer;
    struct transport *transport;
    struct step_options options;
    int first_leaf, leaves; /* of this rank */
    int passes;
    struct subtree *cover; /* with chunks: one a pass; else the subtrees of the one pass */
    int cover_count;
    size_t vector_size;
    int buffers; /* sums that are held at a time */
    float *gradient_buffer[TREE_SUBTREES_LIMIT], *metric_buffer[TREE_SUBTREES_LIMIT];
    float **buffer; /* one of these */
    struct exchange *gradients, *metrics;
    struct exchange_options gradient_options, metric_options;
    double *other_norms; /* room to add up what optimizers measure */
    struct agreement *agreement;
    /* Where layers sum over the whole batch (net_batch_sums): */
    struct pass_batch batch;
    status batch_result; /* of these sums in the step under way */
    /* The step under way. */
    int64_t number, pictures;
    const float *pixels;
    const struct target *targets;
    struct partials partials;
    struct pass pass; /* the last one that has pictures; its backward is still to come */
    int *leaf_start;
    struct subtree subtree[TREE_SUBTREES_LIMIT];
    float *gradient[TREE_SUBTREES_LIMIT];
    bool well, agreed;
    uint32_t flags;
    unsigned char decision[AGREEMENT_DECISION];
    size_t final, handed; /* floats of the gradient that are final, and that the exchange has */
    status result;        /* of what moved on below backward */
    struct optimizer_step update;
    int64_t own_pictures, all_pictures; /* since the last average; of all ranks */
    char vector_name[32];
    struct step_metrics sums;
    struct step_times times;
    double lap; /* when the time that is not yet in `times` began */
};

/* Puts what went by since the last lap, or since step.c began one, into one of step->times. */
void step_lap(struct step *step, double *time);

/* Cuts the rank's leaves into passes and counts the buffers of partials, once first_leaf and leaves
 * are set. */
status step_plan_passes(struct step *step);

/* Whether layers of a training pass wait for other ranks. */
bool step_meets(const struct step *step);

/* Begins a step or an evaluation of `pictures` pictures over all ranks, with these buffers. */
void step_begin(struct step *step, float **buffer, int64_t number, int64_t pictures,
    const float *pixels, const struct target *targets);
/* Whether there is a pass `index` with pictures; those without are the last ones. */
bool step_pass_has_pictures(const struct step *step, int index);
/* Makes `index` the step's pass, to be called for 0, 1, ... in order, and takes the buffers for its
 * sums. */
void step_set_pass(struct step *step, int index, bool training);
/* The place of the pass's first picture in the rank's share. */
size_t step_pass_offset(const struct step *step);
/* Adds up elements [from, to) of the partials that the pass has completed. The caller sets
 * partials.folds = 0 when all of the vector is done. */
void step_do_folds(const struct step *step, size_t from, size_t to);

/* step_local.c: whether ranks take steps of their own; the leaves of the exchange that takes their
 * average; the update of such a step, and [all] the sum of its metrics; [all] rank 0's weights and
 * vectors for all. */
bool step_is_local(const struct step *step);
int step_average_leaves(int ranks);
status step_update_own(struct step *step);
status step_spread_own(struct step *step);

/* step_norms.c: what an optimizer measures of the whole gradient before it updates anything, each
 * owner its pieces; nothing for those that do not. */
status step_take_norms(struct step *step);
status step_measure_norms(struct step *step);
int64_t step_norms_bytes(const struct step *step);

#endif
