#include "worker/exchange/exchange_internal.h"

#include "base/cpu.h"
#include "worker/exchange/agreement.h"
#include "worker/exchange/progress_thread.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* ---- create ---- */

static size_t bucket_start(const struct exchange *exchange, size_t bucket) {
    size_t start;
    if (__builtin_mul_overflow(bucket, exchange->options.bucket_size, &start) ||
        start > exchange->options.vector_size) {
        return exchange->options.vector_size;
    }
    return start;
}

struct range exchange_column(const struct exchange *exchange, size_t bucket, int column) {
    size_t from = bucket_start(exchange, bucket), to = bucket_start(exchange, bucket + 1);
    struct range range = slice_range(to - from, exchange->plan.grain, column, exchange->columns);
    return (struct range){from + range.from, from + range.to};
}

static status check(const struct exchange_options *options, int ranks) {
    if (!tree_is_power_of_two(options->leaves) || options->leaves > TREE_LEAVES_LIMIT) {
        FAIL(STATUS_USAGE, "%d leaves: must be a power of two, at most %d", options->leaves,
            TREE_LEAVES_LIMIT);
    }
    if (ranks > options->leaves) {
        FAIL(STATUS_USAGE, "%d ranks for a batch of %d leaves: at most one rank a leaf", ranks,
            options->leaves);
    }
    size_t limit = TRANSPORT_MESSAGE_LIMIT / sizeof(float);
    if (options->bucket_size < 1 || options->bucket_size > limit) {
        FAIL(STATUS_USAGE, "a bucket of %zu floats: must be 1 to %zu", options->bucket_size, limit);
    }
    if (options->wire != EXCHANGE_FLOAT32 && options->algorithm != EXCHANGE_TREE) {
        FAIL(STATUS_USAGE, "bf16 on the wire is for sums by the tree alone");
    }
    return STATUS_OK;
}

static void set_options(struct exchange *exchange, const struct exchange_options *options) {
    struct exchange_options *own = &exchange->options;
    *own = *options;
    own->threads = options->threads > 0 ? options->threads : 1;
    exchange->adding = own->threads;
    own->grain = options->grain > 0 ? options->grain : 1;
    own->bucket_size = (options->bucket_size + own->grain - 1) / own->grain * own->grain;
    exchange->buckets =
        options->vector_size / own->bucket_size + (options->vector_size % own->bucket_size > 0);
}

/* Shares memory where that is possible on all nodes; else every rank is a node. Where every rank
 * is, nothing is shared: memory of one's own has huge pages, shared memory not on every system. */
static status take_node(struct exchange *exchange, struct transport *transport) {
    bool shared = transport->shares_memory && transport->ranks > transport->nodes &&
                  !exchange->options.alone && exchange->options.algorithm == EXCHANGE_TREE;
    if (shared) {
        status mine = node_init(&exchange->node, transport, &exchange->options, true);
        status all = agreement_status(transport, mine);
        if (all == STATUS_OK) {
            return STATUS_OK;
        }
        if (mine == STATUS_OK) {
            node_release(&exchange->node);
        }
        TRY(memory_copy_text(&exchange->problem, status_message()));
    }
    TRY(MEMORY_ALLOCATE(&exchange->ranks, (size_t)transport->ranks + 1));
    for (int r = 0; r <= transport->ranks; r++) {
        exchange->ranks[r] = r;
    }
    return node_init(&exchange->node, transport, &exchange->options, false);
}

static status take_plan(struct exchange *exchange, struct transport *transport) {
    bool alone = exchange->ranks != NULL;
    struct plan *plan = &exchange->plan;
    *plan = (struct plan){
        .transport = transport,
        .node = alone ? transport->rank : transport->node,
        .nodes = alone ? transport->ranks : transport->nodes,
        .leaves = exchange->options.leaves,
        .node_first = alone ? exchange->ranks : transport->node_first,
        .grain = exchange->options.grain,
        .exact = exchange->options.exact,
    };
    for (int n = 0; n < plan->nodes; n++) {
        int ranks = plan->node_first[n + 1] - plan->node_first[n];
        exchange->columns = ranks > exchange->columns ? ranks : exchange->columns;
    }
    const struct node *node = &exchange->node;
    exchange->own = (exchange->columns - node->rank + node->ranks - 1) / node->ranks;
    exchange->tasks = exchange->buckets * (size_t)exchange->own;
    return plan_init(plan, transport->ranks);
}

/* What any column may need: those of the first bucket, and of the last one, which may be shorter
 * and go by another algorithm. */
static void need_most(size_t *scratch, size_t *requests, const struct exchange *exchange) {
    size_t last = exchange->buckets > 0 ? exchange->buckets - 1 : 0;
    *scratch = *requests = 0;
    for (int i = 0; i < 2 * exchange->columns; i++) {
        struct range range = exchange_column(exchange, i % 2 == 0 ? 0 : last, i / 2);
        size_t size = range.to - range.from, more_scratch, more_requests;
        algorithm_choose(&exchange->options, &exchange->plan, size)
            ->need(&more_scratch, &more_requests, &exchange->plan, size);
        *scratch = more_scratch > *scratch ? more_scratch : *scratch;
        *requests = more_requests > *requests ? more_requests : *requests;
    }
}

static status take_slots(struct exchange *exchange) {
    size_t scratch, requests;
    need_most(&scratch, &requests, exchange);
    exchange->slots = exchange->tasks < EXCHANGE_SLOTS ? (int)exchange->tasks : EXCHANGE_SLOTS;
    scratch = (scratch * sizeof(float) + VECTOR_PAGE - 1) / VECTOR_PAGE * VECTOR_PAGE;
    exchange->strip_size = (size_t)exchange->node.depth * NODE_STRIP;
    if (exchange->plan.nodes > 1) {
        TRY(arena_init(&exchange->scratch, VECTOR_BEGIN + scratch * (size_t)exchange->slots,
            exchange->options.threads));
        TRY(MEMORY_ALLOCATE(&exchange->requests, requests * (size_t)exchange->slots));
    }
    TRY(MEMORY_ALLOCATE(
        &exchange->strips, exchange->strip_size * (size_t)exchange->options.threads));
    for (int s = 0; s < exchange->slots && exchange->plan.nodes > 1; s++) {
        exchange->slot[s].column.scratch =
            (float *)(void *)(exchange->scratch.base + VECTOR_BEGIN + scratch * (size_t)s);
        exchange->slot[s].column.requests = exchange->requests + requests * (size_t)s;
    }
    return STATUS_OK;
}

static status take_thread(struct exchange *exchange) {
    const bool can = exchange->plan.transport->any_thread;
    enum exchange_progress_by *progress = &exchange->options.progress;
    if (*progress == EXCHANGE_AUTO) {
        *progress = can && exchange->plan.nodes > 1 ? EXCHANGE_THREAD : EXCHANGE_INLINE;
    }
    if (*progress == EXCHANGE_INLINE) {
        return STATUS_OK;
    }
    if (!can) {
        FAIL(STATUS_USAGE, "exchange.progress: thread needs an MPI that may be called from several "
                           "threads (MPI_THREAD_SERIALIZED), and this one may not: use inline");
    }
    return progress_thread_start(&exchange->thread, exchange);
}

status exchange_create(struct exchange **exchange, struct transport *transport,
    const struct exchange_options *options) {
    *exchange = NULL;
    TRY(check(options, transport->ranks));
    struct exchange *own;
    TRY(MEMORY_ALLOCATE(&own, 1));
    set_options(own, options);
    status result;
    TRY_TO(failed, result, take_node(own, transport));
    TRY_TO(failed, result, take_plan(own, transport));
    TRY_TO(failed, result, take_slots(own));
    TRY_TO(failed, result, exchange_take_left(own));
    TRY_TO(failed, result, take_thread(own));
    *exchange = own;
    return STATUS_OK;
failed:
    exchange_destroy(own);
    return result;
}

void exchange_destroy(struct exchange *exchange) {
    if (exchange == NULL) {
        return;
    }
    progress_thread_stop(exchange->thread);
    arena_release(&exchange->residual);
    arena_release(&exchange->owed);
    arena_release(&exchange->scratch);
    free(exchange->requests);
    free(exchange->strips);
    free(exchange->ranks);
    free(exchange->problem);
    plan_release(&exchange->plan);
    node_release(&exchange->node);
    free(exchange);
}

float *exchange_vector(struct exchange *exchange, int index) {
    return exchange->node.vector[index];
}

float *exchange_results(struct exchange *exchange) {
    return exchange->node.results;
}

const char *exchange_problem(const struct exchange *exchange) {
    return exchange->problem;
}

struct exchange_map exchange_get_map(const struct exchange *exchange) {
    const struct plan *plan = &exchange->plan;
    return (struct exchange_map){
        plan->transport->rank, plan->transport->ranks, plan->nodes, plan->node_first};
}

enum exchange_progress_by exchange_get_progress(const struct exchange *exchange) {
    return exchange->options.progress;
}

/* ---- a step ---- */

status exchange_begin(
    struct exchange *exchange, int64_t pictures, const struct exchange_maker *maker) {
    struct plan *plan = &exchange->plan;
    assert(exchange->in_flight == 0);
    cpu_flush_denormals(); /* a rank without pictures adds up too, and must do it as all do */
    plan->filled = pictures < plan->leaves ? (int)pictures : plan->leaves;
    exchange->maker = maker;
    exchange->ready = 0;
    exchange->next = 0;
    exchange->first = STAGE_ADD;
    exchange->last = exchange->options.hold ? STAGE_REDUCE : STAGE_GATHER;
    exchange->node.step++;
    node_set_ready(&exchange->node, 0);
    progress_thread_give(exchange->thread);
    return STATUS_OK;
}

static size_t task_bucket(const struct exchange *exchange, size_t task) {
    return task / (size_t)exchange->own;
}

static int task_column(const struct exchange *exchange, size_t task) {
    const struct node *node = &exchange->node;
    return node->rank + (int)(task % (size_t)exchange->own) * node->ranks;
}

/* The messages of one column meet those of no other that may be under way at the same time: of
 * those a rank has EXCHANGE_SLOTS, from fewer than as many buckets and one more. */
static int task_tag(const struct exchange *exchange, size_t task) {
    size_t place = task_bucket(exchange, task) % (EXCHANGE_SLOTS + 1) * (size_t)exchange->columns +
                   (size_t)task_column(exchange, task);
    return TRANSPORT_TAG_EXCHANGE + (int)place * ALGORITHM_TAGS;
}

static void start_task(struct exchange *exchange, struct slot *slot, size_t task) {
    const int number = task_column(exchange, task);
    const struct range range = exchange_column(exchange, task_bucket(exchange, task), number);
    const struct plan *plan = &exchange->plan;
    slot->stage = exchange->first;
    slot->from = range.from;
    slot->bucket = (int64_t)task_bucket(exchange, task);
    slot->began = activity_clock();
    slot->column = (struct column){
        .algorithm = algorithm_choose(&exchange->options, plan, range.to - range.from),
        .number = number,
        .size = range.to - range.from,
        .out = exchange->node.results + range.from,
        .tag = task_tag(exchange, task),
        .scratch = slot->column.scratch,
        .requests = slot->column.requests,
    };
    if (exchange_left_count(exchange) > 0) {
        exchange_place_left(&slot->column, exchange, range.from);
    }
    int subtrees = plan->first_subtree[plan->node + 1] - plan->first_subtree[plan->node];
    for (int s = 0; s < subtrees; s++) {
        slot->column.partial[s] = exchange->node.home[s] + range.from;
    }
    exchange->in_flight++;
    if (exchange->in_flight > exchange->most_in_flight) {
        exchange->most_in_flight = exchange->in_flight;
    }
}

/* One stage of a column; *done tells whether it is through. */
static status run_stage(struct exchange *exchange, struct slot *slot, bool *done) {
    struct column *column = &slot->column;
    const struct plan *plan = &exchange->plan;
    const bool empty = plan->filled == 0 || column->size == 0;
    *done = true;
    switch (slot->stage) {
    case STAGE_ADD:
        *done = node_is_ready(&exchange->node, slot->from + column->size);
        if (*done) {
            exchange_add(exchange, slot);
        }
        return STATUS_OK;
    case STAGE_REDUCE: return empty ? STATUS_OK : column->algorithm->reduce(column, plan, done);
    case STAGE_MAKE:
        if (!empty && (plan->nodes > 1 || exchange->options.hold)) {
            struct range own = column->algorithm->owned(plan, column->size, plan->node);
            exchange_make(exchange, slot->from + own.from, slot->from + own.to);
        }
        column->step = 0;
        column->started = false;
        column_reuse_requests(column);
        return STATUS_OK;
    case STAGE_GATHER: return empty ? STATUS_OK : column->algorithm->gather(column, plan, done);
    default: return STATUS_OK;
    }
}

static status advance(struct exchange *exchange, struct slot *slot) {
    while (slot->stage != STAGE_FREE) {
        bool done;
        TRY(run_stage(exchange, slot, &done));
        if (!done) {
            return STATUS_OK;
        }
        exchange->moved = true;
        slot->stage = slot->stage == exchange->last ? STAGE_FREE : slot->stage + 1;
    }
    exchange->in_flight--;
    activity_span(exchange->plan.transport->activity, ACTIVITY_BUCKET, slot->bucket, slot->began);
    return STATUS_OK;
}

/* Starts the tasks whose buckets are complete here, as far as there are slots. */
static status start_tasks(struct exchange *exchange) {
    while (exchange->next < exchange->tasks) {
        struct slot *slot = &exchange->slot[exchange->next % (size_t)exchange->slots];
        size_t bucket = task_bucket(exchange, exchange->next);
        if (bucket_start(exchange, bucket + 1) > exchange->ready || slot->stage != STAGE_FREE) {
            return STATUS_OK;
        }
        start_task(exchange, slot, exchange->next++);
        TRY(advance(exchange, slot));
    }
    return STATUS_OK;
}

status exchange_ready(struct exchange *exchange, size_t from, size_t to) {
    assert(from == exchange->ready && to >= from && to <= exchange->options.vector_size);
    (void)from;
    exchange->ready = to;
    node_set_ready(&exchange->node, to);
    if (exchange->thread != NULL) {
        progress_thread_wake(exchange->thread);
        return STATUS_OK;
    }
    return start_tasks(exchange);
}

status exchange_advance(struct exchange *exchange) {
    for (int s = 0; s < exchange->slots; s++) {
        if (exchange->slot[s].stage != STAGE_FREE) {
            TRY(advance(exchange, &exchange->slot[s]));
        }
    }
    return start_tasks(exchange);
}

status exchange_progress(struct exchange *exchange) {
    return exchange->thread != NULL ? STATUS_OK : exchange_advance(exchange);
}

static bool tasks_are_done(const struct exchange *exchange) {
    return exchange->in_flight == 0 && exchange->next == exchange->tasks;
}

/* The first bucket that is not done: what a wait waits for. -1: those of other ranks of the node.
 */
static int64_t first_missing(const struct exchange *exchange) {
    int64_t first =
        exchange->next < exchange->tasks ? (int64_t)task_bucket(exchange, exchange->next) : -1;
    for (int s = 0; s < exchange->slots; s++) {
        const struct slot *slot = &exchange->slot[s];
        if (slot->stage != STAGE_FREE && (first < 0 || slot->bucket < first)) {
            first = slot->bucket;
        }
    }
    return first;
}

/* Moves on until `done`, giving the processor away in between. */
static status wait_until(
    struct exchange *exchange, bool (*is_done)(const struct exchange *exchange)) {
    struct transport *transport = exchange->plan.transport;
    TRY(exchange_advance(exchange));
    if (is_done(exchange)) {
        return STATUS_OK;
    }
    const struct activity_now before =
        activity_enter(transport->activity, ACTIVITY_EXCHANGE, first_missing(exchange));
    status result = STATUS_OK;
    while (result == STATUS_OK && !is_done(exchange)) {
        activity_set_detail(transport->activity, first_missing(exchange));
        transport->pauses = exchange->moved ? 0 : transport->pauses;
        exchange->moved = false;
        transport->pause(transport);
        result = exchange_advance(exchange);
    }
    activity_leave(transport->activity, before);
    return result;
}

static bool all_is_done(const struct exchange *exchange) {
    return node_is_done(&exchange->node);
}

status exchange_finish_sums(struct exchange *exchange, float **sums) {
    assert(exchange->options.hold && exchange->ready == exchange->options.vector_size);
    TRY(progress_thread_take(exchange->thread));
    TRY(wait_until(exchange, tasks_are_done));
    *sums = exchange->node.home[0];
    exchange->next = 0;
    exchange->first = STAGE_MAKE;
    exchange->last = STAGE_GATHER;
    return STATUS_OK;
}

status exchange_finish(struct exchange *exchange) {
    assert(exchange->ready == exchange->options.vector_size);
    TRY(progress_thread_take(exchange->thread));
    if (exchange->options.hold && exchange->first == STAGE_ADD) {
        float *sums;
        TRY(exchange_finish_sums(exchange, &sums));
    }
    TRY(wait_until(exchange, tasks_are_done));
    node_set_done(&exchange->node);
    exchange->moved = true;
    return wait_until(exchange, all_is_done);
}

status exchange_sum(struct exchange *exchange, int64_t pictures) {
    TRY(exchange_begin(exchange, pictures, NULL));
    TRY(exchange_ready(exchange, 0, exchange->options.vector_size));
    return exchange_finish(exchange);
}

size_t exchange_pieces(const struct exchange *exchange) {
    return exchange->tasks;
}

void exchange_piece(size_t *from, size_t *to, const struct exchange *exchange, size_t i) {
    const struct plan *plan = &exchange->plan;
    struct range column =
        exchange_column(exchange, task_bucket(exchange, i), task_column(exchange, i));
    size_t size = column.to - column.from;
    struct range own =
        algorithm_choose(&exchange->options, plan, size)->owned(plan, size, plan->node);
    *from = column.from + own.from;
    *to = column.from + own.to;
}

int exchange_in_flight(const struct exchange *exchange) {
    return exchange->in_flight;
}

int exchange_most_in_flight(const struct exchange *exchange) {
    return exchange->most_in_flight;
}
