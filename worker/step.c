#include "worker/step_internal.h"

#include "worker/exchange/vector.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CACHE_LINE 16 /* floats: no two ranks write in one */

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void begin_lap(struct step *step) {
    step->lap = seconds();
}

void step_lap(struct step *step, double *time) {
    const double now = seconds();
    *time += now - step->lap;
    step->lap = now;
}

/* ---- what layers sum over the whole batch ---- */

bool step_meets(const struct step *step) {
    return step->transport->ranks > 1 && step->optimizer != NULL && net_batch_sums(step->net) > 0;
}

static void sum_over_batch(void *context, double *partial, double *scratch, int count) {
    struct step *step = context;
    const int leaves = step->options.leaves;
    const struct tree_sum sum = {
        .transport = step->transport,
        .leaves = leaves,
        .filled = step->pictures < leaves ? (int)step->pictures : leaves,
    };
    step_lap(step, &step->times.compute);
    if (step->batch_result == STATUS_OK) {
        step->batch_result = tree_sum(&sum, partial, scratch, count);
    }
    step_lap(step, &step->times.waiting);
}

static status check_batch_sums(const struct step *step) {
    if (step_is_local(step) && net_batch_sums(step->net) > 0) {
        FAIL(STATUS_USAGE,
            "batch norm over the whole batch (sync) cannot be where ranks take steps of their own: "
            "leave train.local_steps at 1");
    }
    if (step->passes > 1 && step->optimizer != NULL && net_batch_sums(step->net) > 0) {
        FAIL(STATUS_USAGE,
            "batch norm over the whole batch (sync) cannot run it in %d passes: leave train.chunk "
            "at 0",
            step->passes);
    }
    return STATUS_OK;
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

/* Where these are, nothing is shared with other ranks: a rank may fail alone. */
static status create_metrics(struct step *step) {
    const struct step_options *options = &step->options;
    step->metric_options = (struct exchange_options){
        .leaves = options->leaves,
        .vector_size = NET_METRICS,
        .bucket_size = NET_METRICS,
        .small_bucket = EXCHANGE_SMALL_BUCKET,
        .vectors = step->buffers,
        .alone = true, /* so few that it is all latency */
    };
    return exchange_create(&step->metrics, step->transport, &step->metric_options);
}

/* For all ranks: those of a node take shared memory together. */
static status create_gradients(struct step *step) {
    const struct step_options *options = &step->options;
    size_t bucket = options->bucket / sizeof(float);
    bool local = step_is_local(step);
    bool norms = step->optimizer != NULL && !local && optimizer_rounds(step->optimizer) > 0;
    if (step->optimizer != NULL) {
        step->gradient_options = (struct exchange_options){
            .algorithm = options->algorithm,
            .progress = local ? EXCHANGE_INLINE : options->progress,
            .wire = options->wire,
            .exact = NET_METRICS,
            .leaves = local ? step_average_leaves(step->transport->ranks) : options->leaves,
            .vector_size = step->vector_size,
            .bucket_size = bucket < step->vector_size ? bucket : step->vector_size,
            /* What is measured is measured by one owner, block by block, before any update. */
            .small_bucket = norms ? 0 : EXCHANGE_SMALL_BUCKET,
            .grain = norms ? NORMS_BLOCK : CACHE_LINE,
            .hold = norms,
            .vectors = step->buffers,
            .threads = options->threads > 0 ? options->threads : 1,
            .alone = options->alone,
        };
        TRY(exchange_create(&step->gradients, step->transport, &step->gradient_options));
    }
    return agreement_create(&step->agreement, step->transport);
}

/* The pieces of the weights that this rank updates: only of these it has the optimizer's vectors.
 */
static void touch_pieces(struct step *step) {
    for (size_t i = 0; i < exchange_pieces(step->gradients); i++) {
        size_t from, to;
        exchange_piece(&from, &to, step->gradients, i);
        optimizer_touch(step->optimizer, from, to);
    }
}

/* The weights that all ranks of a node have together are in the exchange; of its own pieces a rank
 * has the optimizer's vectors. With steps of its own it has everything for itself. */
static status place_weights(struct step *step) {
    struct exchange_map map = exchange_get_map(step->gradients);
    bool first = false; /* of those who have the weights together */
    if (step_is_local(step)) {
        optimizer_touch(step->optimizer, 0, step->vector_size);
        return STATUS_OK;
    }
    for (int n = 0; n < map.nodes; n++) {
        first = first || map.first[n] == step->transport->rank;
    }
    net_move_weights(step->net, exchange_results(step->gradients), first);
    touch_pieces(step);
    return step_take_norms(step);
}

/* What may fail on some ranks alone, before what all do together. */
static status prepare(struct step **step, struct net *net, struct optimizer *optimizer,
    struct transport *transport, const struct step_options *options) {
    TRY(check(options));
    TRY(MEMORY_ALLOCATE(step, 1));
    struct step *own = *step;
    own->net = net;
    own->optimizer = optimizer;
    own->transport = transport;
    own->options = *options;
    own->vector_size = optimizer != NULL ? net_vector_size(net) : NET_METRICS;
    own->first_leaf = tree_rank_first(transport->rank, transport->ranks, options->leaves);
    own->leaves = tree_rank_leaves(transport->rank, transport->ranks, options->leaves);
    own->batch = (struct pass_batch){.sum = sum_over_batch, .context = own};
    TRY(step_plan_passes(own));
    TRY(check_batch_sums(own));
    return create_metrics(own); /* checks leaves and ranks */
}

static status take_memory(struct step *step) {
    TRY(create_gradients(step));
    for (int b = 0; b < step->buffers; b++) {
        step->metric_buffer[b] = exchange_vector(step->metrics, b);
        if (step->gradients != NULL) {
            step->gradient_buffer[b] = exchange_vector(step->gradients, b);
        }
    }
    return step->gradients != NULL ? place_weights(step) : STATUS_OK;
}

status step_create(struct step **step, struct net *net, struct optimizer *optimizer,
    struct transport *transport, const struct step_options *options) {
    *step = NULL;
    struct step *own = NULL;
    status result = agreement_status(transport, prepare(&own, net, optimizer, transport, options));
    if (result == STATUS_OK) {
        result = agreement_status(transport, take_memory(own));
    }
    if (result != STATUS_OK) {
        step_destroy(own);
        return status_trace(result, __FILE__, __LINE__, __func__);
    }
    *step = own;
    return STATUS_OK;
}

void step_destroy(struct step *step) {
    if (step == NULL) {
        return;
    }
    agreement_destroy(step->agreement);
    exchange_destroy(step->gradients);
    exchange_destroy(step->metrics);
    free(step->other_norms);
    free(step->leaf_start);
    free(step->cover);
    free(step);
}

static void run_forward(struct step *step, const float **pixels, const struct target **targets) {
    size_t offset = step_pass_offset(step);
    step->batch.pictures = step->pictures;
    step->batch_result = STATUS_OK;
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
        struct pass alone = step->pass; /* the other ranks do not run this again */
        alone.batch = NULL;
        const char *layer = net_find_not_finite(step->net, &alone, pixels, targets);
        FAIL(STATUS_NUMERIC,
            "step %lld: the loss is %g; the first layer whose output is not finite: %s",
            (long long)step->number + 1, loss,
            layer != NULL      ? layer
            : step_meets(step) ? "a batch norm over the whole batch"
                               : "none (the sum is)");
    }
    return STATUS_OK;
}

/* ---- the step ---- */

status step_forward(struct step *step, int64_t number, int64_t pictures, const float *pixels,
    const struct target *targets) {
    begin_lap(step);
    status result = STATUS_OK;
    const struct activity_now before =
        activity_enter(step->transport->activity, ACTIVITY_FORWARD, -1);
    step_begin(step, step->gradient_buffer, number, pictures, pixels, targets);
    for (int p = 0; step_pass_has_pictures(step, p) && result == STATUS_OK; p++) {
        const float *pass_pixels;
        const struct target *pass_targets;
        step_set_pass(step, p, true);
        run_forward(step, &pass_pixels, &pass_targets);
        result = step->batch_result;
        if (result == STATUS_OK) {
            result = check_loss(step, pass_pixels, pass_targets);
        }
        if (result == STATUS_OK && step_pass_has_pictures(step, p + 1)) {
            net_backward(step->net, &step->pass, NULL);
            step_do_folds(step, 0, step->vector_size);
            step->partials.folds = 0;
        }
    }
    activity_leave(step->transport->activity, before);
    step_lap(step, &step->times.compute);
    return result;
}

status step_meet(struct step *step, status mine) {
    if (!step_meets(step)) {
        return STATUS_OK;
    }
    begin_lap(step);
    status result = agreement_status(step->transport, mine);
    step_lap(step, &step->times.waiting);
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
        step->update = (struct optimizer_step){
            .rate = step->options.rate(step->decision),
            .pictures = step->pictures,
            .step = step->number,
        };
    }
    if (step_is_local(step)) { /* nothing of the gradient goes to others */
        step->handed = step->final;
        return STATUS_OK;
    }
    if (step->final > step->handed) {
        size_t from = step->handed;
        step->handed = step->final;
        TRY(exchange_ready(step->gradients, from, step->handed));
    }
    return exchange_progress(step->gradients);
}

/* The sums of the metrics, which come first, are kept; the weights are updated. */
static void make_weights(
    void *context, float *weights, const float *sum, size_t from, size_t count) {
    struct step *step = context;
    size_t metrics = from >= NET_METRICS ? 0 : NET_METRICS - from;
    metrics = metrics < count ? metrics : count;
    vector_copy(weights, sum, metrics);
    if (metrics < count) {
        optimizer_update_piece(
            step->optimizer, sum + metrics, from + metrics, from + count, &step->update);
    }
}

static void hook_between(void *context) {
    struct step *step = context;
    if (step->result == STATUS_OK) {
        step->result = move_on(step);
    }
}

static void hook_ready(void *context, size_t from, size_t to) {
    struct step *step = context;
    step_do_folds(step, from, to);
    step->final = to;
    hook_between(step);
}

static status wait_for_agreement(struct step *step) {
    const struct activity_now before =
        activity_enter(step->transport->activity, ACTIVITY_AGREEMENT, -1);
    status result = STATUS_OK;
    while (result == STATUS_OK && (!step->agreed || step->handed < step->final)) {
        result = move_on(step);
        if (!step->agreed) {
            step->transport->pause(step->transport);
        }
    }
    activity_leave(step->transport->activity, before);
    return result;
}

static status wait_for_all(struct step *step) {
    TRY(step->result);
    TRY(wait_for_agreement(step));
    if (step_is_local(step)) {
        return step_update_own(step);
    }
    TRY(step_measure_norms(step));
    return exchange_finish(step->gradients);
}

static struct step_metrics metrics_of(const float *sum, int64_t pictures) {
    return (struct step_metrics){
        .pictures = pictures,
        .correct = (int64_t)sum[NET_CORRECT],
        .correct_5 = (int64_t)sum[NET_CORRECT_5],
        .loss = (double)sum[NET_LOSS],
    };
}

status step_backward(struct step *step, uint32_t *flags, void *decision, size_t decision_size) {
    begin_lap(step);
    const struct exchange_maker maker = {.make = make_weights, .context = step};
    step->result =
        step_is_local(step) ? STATUS_OK : exchange_begin(step->gradients, step->pictures, &maker);
    if (step->result == STATUS_OK && step_meets(step)) { /* all begin it or none */
        step_lap(step, &step->times.compute);
        step->result = wait_for_agreement(step);
        step_lap(step, &step->times.waiting);
    }
    if (step->result == STATUS_OK && step->well && step->pass.pictures > 0) {
        const struct activity_now before =
            activity_enter(step->transport->activity, ACTIVITY_BACKWARD, -1);
        const struct net_hooks hooks = {
            .ready = hook_ready, .between = hook_between, .context = step};
        net_backward(step->net, &step->pass, &hooks);
        activity_leave(step->transport->activity, before);
        step->result = step->result == STATUS_OK ? step->batch_result : step->result;
    }
    step->final = step->vector_size;
    step_lap(step, &step->times.compute);
    status result = wait_for_all(step);
    step_lap(step, &step->times.waiting);
    TRY(result);
    step->sums = metrics_of(
        exchange_results(step_is_local(step) ? step->metrics : step->gradients), step->pictures);
    if (flags != NULL) {
        *flags = step->flags;
    }
    memcpy(decision, step->decision, decision_size);
    return STATUS_OK;
}

struct step_metrics step_get_metrics(const struct step *step) {
    return step->sums;
}

/* ---- evaluation ---- */

static void evaluate_passes(struct step *step, const struct step_viewer *viewer) {
    for (int p = 0; step_pass_has_pictures(step, p); p++) {
        const float *pixels;
        const struct target *targets;
        step_set_pass(step, p, false);
        run_forward(step, &pixels, &targets);
        step_do_folds(step, 0, NET_METRICS);
        step->partials.folds = 0;
        if (viewer != NULL) {
            viewer->seen(viewer->context, (int)step_pass_offset(step), step->pass.pictures);
        }
    }
}

status step_evaluate(struct step *step, struct step_metrics *metrics, status mine, int64_t pictures,
    const float *pixels, const struct target *targets, const struct step_viewer *viewer) {
    begin_lap(step);
    step_begin(step, step->metric_buffer, 0, pictures, pixels, targets);
    if (mine == STATUS_OK) {
        const struct activity_now before =
            activity_enter(step->transport->activity, ACTIVITY_FORWARD, -1);
        evaluate_passes(step, viewer);
        activity_leave(step->transport->activity, before);
    }
    step_lap(step, &step->times.compute);
    status result = agreement_start(step->agreement, mine, 0, NULL, 0);
    if (result == STATUS_OK) {
        result = agreement_finish(step->agreement, NULL, NULL, 0);
    }
    if (result == STATUS_OK) {
        result = exchange_sum(step->metrics, pictures);
    }
    step_lap(step, &step->times.waiting);
    TRY(result);
    struct step_metrics here = metrics_of(exchange_results(step->metrics), pictures);
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

enum exchange_progress_by step_get_progress(const struct step *step) {
    return step->gradients != NULL ? exchange_get_progress(step->gradients) : EXCHANGE_INLINE;
}

int step_most_in_flight(const struct step *step) {
    return step->gradients != NULL ? exchange_most_in_flight(step->gradients) : 0;
}

/* Of meeting before forward, and of what layers sum over the whole batch. */
static int64_t batch_bytes(const struct step *step, int64_t pictures) {
    const struct transport *transport = step->transport;
    const int leaves = step->options.leaves, filled = pictures < leaves ? (int)pictures : leaves;
    if (!step_meets(step)) {
        return 0;
    }
    return agreement_bytes(transport->ranks) + 2 * tree_sum_bytes(transport->rank, transport->ranks,
                                                       leaves, filled, net_batch_sums(step->net));
}

static int64_t metrics_bytes(const struct step *step, int64_t pictures) {
    const struct exchange_map map = exchange_get_map(step->metrics);
    return exchange_bytes(&step->metric_options, &map, pictures);
}

int64_t step_exchange_bytes(const struct step *step, int64_t pictures) {
    const struct exchange_map map = exchange_get_map(step->gradients);
    return agreement_bytes(map.ranks) + step_norms_bytes(step) + batch_bytes(step, pictures) +
           (step_is_local(step) ? metrics_bytes(step, pictures)
                                : exchange_bytes(&step->gradient_options, &map, pictures));
}

const char *step_problem(const struct step *step) {
    return step->gradients != NULL ? exchange_problem(step->gradients) : NULL;
}
