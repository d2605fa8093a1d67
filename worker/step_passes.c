/* How a step's leaves become passes, and their partial sums the rank's maximal subtrees. */
#include "worker/step_internal.h"

#include "worker/exchange/vector.h"

#include <assert.h>
#include <stdlib.h>

/* The leaves of the subtrees [from, to) of the cover. */
static struct subtree run_of(const struct subtree *cover, int from, int to) {
    int first = cover[from].first;
    return (struct subtree){first, cover[to - 1].first + cover[to - 1].leaves - first};
}

struct step_room step_room(const struct step_options *options, int rank, int ranks) {
    struct step_room room = {0};
    int first = tree_rank_first(rank, ranks, options->leaves);
    int leaves = tree_rank_leaves(rank, ranks, options->leaves);
    int most = options->chunk > 0 && options->chunk < leaves ? options->chunk : leaves;
    /* Leaves of a full batch are longest at its start, and no pass has more than `most`. */
    int64_t pictures = tree_leaf_start(options->batch, options->leaves, first + most) -
                       tree_leaf_start(options->batch, options->leaves, first);
    room.pictures = (int)pictures;
    room.leaves = most;
    room.leaf = (int)tree_leaf_pictures(options->batch, options->leaves, 0);
    return room;
}

static bool has_pictures(const struct step *step, struct subtree subtree) {
    return tree_subtree_pictures(step->pictures, step->options.leaves, subtree) > 0;
}

/* Takes a buffer for the next subtree from the left; owes the folds that it completes. */
static int push(struct step *step, struct subtree subtree) {
    struct partials *partials = &step->partials;
    int slot = tree_counter_push(&partials->counter, subtree), into, from;
    while (tree_counter_merge(&partials->counter, &into, &from)) {
        if (has_pictures(step, partials->counter.stack[from])) {
            partials->fold[partials->folds++] = (struct fold){into, from};
        }
    }
    return slot;
}

void step_do_folds(const struct step *step, size_t from, size_t to) {
    for (int f = 0; f < step->partials.folds; f++) {
        float *into = step->buffer[step->partials.fold[f].into];
        vector_add(
            into + from, into + from, step->buffer[step->partials.fold[f].from] + from, to - from);
    }
}

static int count_buffers(const struct step *step) {
    struct tree_counter counter = {0};
    int most = 0, into, from;
    for (int c = 0; c < step->cover_count; c++) {
        tree_counter_push(&counter, step->cover[c]);
        most = counter.count > most ? counter.count : most;
        while (tree_counter_merge(&counter, &into, &from)) {
        }
    }
    return most;
}

status step_plan_passes(struct step *step) {
    const struct step_options *options = &step->options;
    int chunk = options->chunk < step->leaves ? options->chunk : 0;
    size_t room = TREE_SUBTREES_LIMIT;
    room += chunk > 0 ? (size_t)(step->leaves / chunk) : 0;
    TRY(MEMORY_ALLOCATE(&step->cover, room));
    TRY(MEMORY_ALLOCATE(&step->leaf_start, (size_t)step->leaves + 1));
    step->cover_count = tree_cover(step->cover, step->first_leaf, step->leaves, chunk);
    step->passes = chunk > 0 ? step->cover_count : 1;
    step->buffers = count_buffers(step);
    return STATUS_OK;
}

status step_gradient_vectors(
    int *vectors, const struct step_options *options, int rank, int ranks) {
    struct step step = {.options = *options,
        .first_leaf = tree_rank_first(rank, ranks, options->leaves),
        .leaves = tree_rank_leaves(rank, ranks, options->leaves)};
    status result = step_plan_passes(&step);
    *vectors = step.buffers;
    free(step.cover);
    free(step.leaf_start);
    return result;
}

int64_t step_pictures(const struct step *step, int64_t pictures) {
    return tree_leaf_start(pictures, step->options.leaves, step->first_leaf + step->leaves) -
           tree_leaf_start(pictures, step->options.leaves, step->first_leaf);
}

void step_begin(struct step *step, float **buffer, int64_t number, int64_t pictures,
    const float *pixels, const struct target *targets) {
    assert(pictures <= step->options.batch);
    step->buffer = buffer;
    step->number = number;
    step->pictures = pictures;
    step->pixels = pixels;
    step->targets = targets;
    step->partials = (struct partials){0};
    step->pass = (struct pass){0};
}

/* The subtrees of pass `index`, as places in the cover: [*from, *to). */
static struct subtree pass_run(const struct step *step, int index, int *from, int *to) {
    *from = step->passes > 1 ? index : 0;
    *to = step->passes > 1 ? index + 1 : step->cover_count;
    return run_of(step->cover, *from, *to);
}

bool step_pass_has_pictures(const struct step *step, int index) {
    int from, to;
    return index < step->passes && has_pictures(step, pass_run(step, index, &from, &to));
}

void step_set_pass(struct step *step, int index, bool training) {
    int from, to, leaves = step->options.leaves;
    struct subtree run = pass_run(step, index, &from, &to);
    int64_t first = tree_leaf_start(step->pictures, leaves, run.first);
    for (int l = 0; l <= run.leaves; l++) {
        step->leaf_start[l] = (int)(tree_leaf_start(step->pictures, leaves, run.first + l) - first);
    }
    for (int s = 0; s < to - from; s++) {
        struct subtree subtree = step->cover[from + s];
        step->subtree[s] = (struct subtree){subtree.first - run.first, subtree.leaves};
        step->gradient[s] = step->buffer[push(step, subtree)];
    }
    step->pass = (struct pass){
        .training = training,
        .seed = step->options.seed,
        .step = (uint32_t)step->number,
        .first_position = first,
        .pictures = step->leaf_start[run.leaves],
        .leaves = run.leaves,
        .leaf_start = step->leaf_start,
        .subtrees = to - from,
        .subtree = step->subtree,
        .gradient = step->gradient,
        .batch = training && step_meets(step) ? &step->batch : NULL,
    };
    /* After the last pass with pictures the tree is completed over the leaves that have none. */
    if (!step_pass_has_pictures(step, index + 1)) {
        for (int c = to; c < step->cover_count; c++) {
            push(step, step->cover[c]);
        }
    }
}

size_t step_pass_offset(const struct step *step) {
    return (size_t)(step->pass.first_position -
                    tree_leaf_start(step->pictures, step->options.leaves, step->first_leaf));
}
