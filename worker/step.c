#include "worker/step.h"

#include "base/memory.h"
#include "worker/exchange/vector.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

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
    struct arena arena;
    size_t vector_size;
    float *buffer[TREE_SUBTREES_LIMIT]; /* sums are left in buffer[0] */
    struct exchange *gradients, *metrics;
    struct exchange_options gradient_options;
    struct agreement *agreement;
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
    struct step_times times;
};

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* The leaves of the subtrees [from, to) of the cover. */
static struct subtree run_of(const struct subtree *cover, int from, int to) {
    int first = cover[from].first;
    return (struct subtree){first, cover[to - 1].first + cover[to - 1].leaves - first};
}

/* ---- what the net must have room for ---- */

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

/* ---- partials ---- */

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

static void do_folds(const struct step *step, size_t from, size_t to) {
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

/* ---- create ---- */

static status check(const struct step_options *options) {
    if (options->batch < 1 || options->batch > INT32_MAX) {
        FAIL(STATUS_USAGE, "a batch of %lld pictures: must be 1 to %d", (long long)options->batch,
            INT32_MAX);
    }
    if (options->chunk != 0 && !tree_is_power_of_two(options->chunk)) {
        FAIL(STATUS_USAGE, "chunks of %d leaves: must be a power of two, or 0", options->chunk);
    }
    return STATUS_OK;
}

static status take_memory(struct step *step) {
    const struct step_options *options = &step->options;
    int chunk = options->chunk < step->leaves ? options->chunk : 0;
    size_t room = TREE_SUBTREES_LIMIT;
    room += chunk > 0 ? (size_t)(step->leaves / chunk) : 0;
    TRY(MEMORY_ALLOCATE(&step->cover, room));
    TRY(MEMORY_ALLOCATE(&step->leaf_start, (size_t)step->leaves + 1));
    step->cover_count = tree_cover(step->cover, step->first_leaf, step->leaves, chunk);
    step->passes = chunk > 0 ? step->cover_count : 1;
    int buffers = count_buffers(step);
    TRY(arena_init(&step->arena, (size_t)buffers * step->vector_size * sizeof(float)));
    for (int b = 0; b < buffers; b++) {
        step->buffer[b] = (float *)(void *)step->arena.base + (size_t)b * step->vector_size;
    }
    return STATUS_OK;
}

static status create_exchanges(struct step *step) {
    const struct step_options *options = &step->options;
    struct exchange_options metrics = {
        .leaves = options->leaves,
        .vector_size = NET_METRICS,
        .bucket_size = NET_METRICS,
        .small_bucket = EXCHANGE_SMALL_BUCKET,
    };
    size_t bucket = options->bucket / sizeof(float);
    TRY(exchange_create(&step->metrics, step->transport, &metrics));
    if (step->optimizer != NULL) {
        step->gradient_options = (struct exchange_options){
            .algorithm = options->algorithm,
            .leaves = options->leaves,
            .vector_size = step->vector_size,
            .bucket_size = bucket < step->vector_size ? bucket : step->vector_size,
            .small_bucket = EXCHANGE_SMALL_BUCKET,
        };
        TRY(exchange_create(&step->gradients, step->transport, &step->gradient_options));
    }
    return agreement_create(&step->agreement, step->transport);
}

status step_create(struct step **step, struct net *net, struct optimizer *optimizer,
    struct transport *transport, const struct step_options *options) {
    *step = NULL;
    TRY(check(options));
    struct step *own;
    TRY(MEMORY_ALLOCATE(&own, 1));
    own->net = net;
    own->optimizer = optimizer;
    own->transport = transport;
    own->options = *options;
    own->vector_size = optimizer != NULL ? net_vector_size(net) : NET_METRICS;
    status result;
    TRY_TO(failed, result, create_exchanges(own)); /* checks leaves and ranks */
    own->first_leaf = tree_rank_first(transport->rank, transport->ranks, options->leaves);
    own->leaves = tree_rank_leaves(transport->rank, transport->ranks, options->leaves);
    TRY_TO(failed, result, take_memory(own));
    *step = own;
    return STATUS_OK;
failed:
    step_destroy(own);
    return result;
}

void step_destroy(struct step *step) {
    if (step == NULL) {
        return;
    }
    agreement_destroy(step->agreement);
    exchange_destroy(step->gradients);
    exchange_destroy(step->metrics);
    arena_release(&step->arena);
    free(step->leaf_start);
    free(step->cover);
    free(step);
}

/* ---- passes ---- */

int64_t step_pictures(const struct step *step, int64_t pictures) {
    return tree_leaf_start(pictures, step->options.leaves, step->first_leaf + step->leaves) -
           tree_leaf_start(pictures, step->options.leaves, step->first_leaf);
}

static void begin_step(struct step *step, int64_t number, int64_t pictures, const float *pixels,
    const struct target *targets) {
    assert(pictures <= step->options.batch);
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

static bool pass_has_pictures(const struct step *step, int index) {
    int from, to;
    return index < step->passes && has_pictures(step, pass_run(step, index, &from, &to));
}

static void set_pass(struct step *step, int index, bool training) {
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
    };
    /* After the last pass with pictures the tree is completed over the leaves that have none. */
    if (!pass_has_pictures(step, index + 1)) {
        for (int c = to; c < step->cover_count; c++) {
            push(step, step->cover[c]);
        }
    }
}

/* The place of the pass's first picture in the rank's share. */
static size_t pass_offset(const struct step *step) {
    return (size_t)(step->pass.first_position -
                    tree_leaf_start(step->pictures, step->options.leaves, step->first_leaf));
}

static void run_forward(struct step *step, const float **pixels, const struct target **targets) {
    size_t offset = pass_offset(step);
    *pixels = step->pixels + offset * shape_elements(net_input_shape(step->net));
    *targets = step->targets + offset;
    net_forward(step->net, &step->pass, *pixels, *targets);
}

static status check_loss(struct step *step, const float *pixels, const struct target *targets) {
    for (int s = 0; s < step->pass.subtrees; s++) {
        const struct subtree subtree = step->subtree[s];
        bool empty =
            step->leaf_start[subtree.first] == step->leaf_start[subtree.first + subtree.leaves];
        if (empty || isfinite(step->gradient[s][NET_LOSS])) {
            continue;
        }
        double loss = (double)step->gradient[s][NET_LOSS];
        const char *layer = net_find_not_finite(step->net, &step->pass, pixels, targets);
        FAIL(STATUS_NUMERIC,
            "step %lld: the loss is %g; the first layer whose output is not finite: %s",
            (long long)step->number + 1, loss, layer != NULL ? layer : "none (the sum is)");
    }
    return STATUS_OK;
}

/* ---- the step ---- */

status step_forward(struct step *step, int64_t number, int64_t pictures, const float *pixels,
    const struct target *targets) {
    double start = seconds();
    status result = STATUS_OK;
    begin_step(step, number, pictures, pixels, targets);
    for (int p = 0; pass_has_pictures(step, p) && result == STATUS_OK; p++) {
        const float *pass_pixels;
        const struct target *pass_targets;
        set_pass(step, p, true);
        run_forward(step, &pass_pixels, &pass_targets);
        result = check_loss(step, pass_pixels, pass_targets);
        if (result == STATUS_OK && pass_has_pictures(step, p + 1)) {
            net_backward(step->net, &step->pass, NULL);
            do_folds(step, 0, step->vector_size);
            step->partials.folds = 0;
        }
    }
    step->times.compute += seconds() - start;
    return result;
}

status step_agree(
    struct step *step, status mine, uint32_t flags, const void *decision, size_t decision_size) {
    step->well = mine == STATUS_OK;
    step->agreed = false;
    step->final = step->handed = 0;
    return agreement_start(step->agreement, mine, flags, decision, decision_size);
}

/* Moves agreement and exchange on without waiting. No bucket starts before all are well. */
static status move_on(struct step *step) {
    if (!step->agreed) {
        bool done;
        TRY(agreement_progress(step->agreement, &done));
        if (!done) {
            return STATUS_OK;
        }
        TRY(agreement_finish(step->agreement, &step->flags, step->decision, sizeof step->decision));
        step->agreed = true;
    }
    if (step->final > step->handed) {
        size_t from = step->handed;
        step->handed = step->final;
        TRY(exchange_ready(step->gradients, from, step->handed));
    }
    return exchange_progress(step->gradients);
}

static void hook_between(void *context) {
    struct step *step = context;
    if (step->result == STATUS_OK) {
        step->result = move_on(step);
    }
}

static void hook_ready(void *context, size_t from, size_t to) {
    struct step *step = context;
    do_folds(step, from, to);
    step->final = to;
    hook_between(step);
}

static status wait_for_all(struct step *step) {
    TRY(step->result);
    while (!step->agreed || step->handed < step->vector_size) {
        TRY(move_on(step));
        if (!step->agreed) {
            step->transport->pause(step->transport);
        }
    }
    return exchange_finish(step->gradients);
}

status step_backward(struct step *step, uint32_t *flags, void *decision, size_t decision_size) {
    double start = seconds();
    step->result = exchange_begin(step->gradients, step->buffer[0], step->buffer, step->pictures);
    if (step->well && step->pass.pictures > 0) {
        const struct net_hooks hooks = {
            .ready = hook_ready, .between = hook_between, .context = step};
        net_backward(step->net, &step->pass, &hooks);
    }
    step->final = step->vector_size;
    double computed = seconds();
    step->times.compute += computed - start;
    status result = wait_for_all(step);
    step->times.waiting += seconds() - computed;
    TRY(result);
    if (flags != NULL) {
        *flags = step->flags;
    }
    memcpy(decision, step->decision, decision_size);
    return STATUS_OK;
}

void step_update(struct step *step, double rate) {
    double start = seconds();
    optimizer_update(step->optimizer, step->buffer[0], 0, step->vector_size,
        &(struct optimizer_step){.rate = rate, .pictures = step->pictures, .step = step->number});
    step->times.compute += seconds() - start;
}

struct step_metrics step_get_metrics(const struct step *step) {
    const float *sum = step->buffer[0];
    return (struct step_metrics){
        .pictures = step->pictures,
        .correct = (int64_t)sum[NET_CORRECT],
        .correct_5 = (int64_t)sum[NET_CORRECT_5],
        .loss = (double)sum[NET_LOSS],
    };
}

/* ---- evaluation ---- */

static void evaluate_passes(struct step *step, const struct step_viewer *viewer) {
    for (int p = 0; pass_has_pictures(step, p); p++) {
        const float *pixels;
        const struct target *targets;
        set_pass(step, p, false);
        run_forward(step, &pixels, &targets);
        do_folds(step, 0, NET_METRICS);
        step->partials.folds = 0;
        if (viewer != NULL) {
            viewer->seen(viewer->context, (int)pass_offset(step), step->pass.pictures);
        }
    }
}

status step_evaluate(struct step *step, struct step_metrics *metrics, status mine, int64_t pictures,
    const float *pixels, const struct target *targets, const struct step_viewer *viewer) {
    double start = seconds();
    begin_step(step, 0, pictures, pixels, targets);
    if (mine == STATUS_OK) {
        evaluate_passes(step, viewer);
    }
    double computed = seconds();
    step->times.compute += computed - start;
    status result = agreement_start(step->agreement, mine, 0, NULL, 0);
    if (result == STATUS_OK) {
        result = agreement_finish(step->agreement, NULL, NULL, 0);
    }
    if (result == STATUS_OK) {
        result = exchange_sum(step->metrics, step->buffer[0], step->buffer, pictures);
    }
    step->times.waiting += seconds() - computed;
    TRY(result);
    struct step_metrics here = step_get_metrics(step);
    metrics->pictures += here.pictures;
    metrics->correct += here.correct;
    metrics->correct_5 += here.correct_5;
    metrics->loss += here.loss;
    return STATUS_OK;
}

/* ---- figures ---- */

struct step_times step_get_times(const struct step *step) {
    return step->times;
}

int step_most_in_flight(const struct step *step) {
    return step->gradients != NULL ? exchange_most_in_flight(step->gradients) : 0;
}

int64_t step_exchange_bytes(const struct step *step, int64_t pictures) {
    const struct transport *transport = step->transport;
    return agreement_bytes(transport->ranks) +
           exchange_bytes(&step->gradient_options, transport->rank, transport->ranks, pictures);
}
