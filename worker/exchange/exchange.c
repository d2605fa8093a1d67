#include "worker/exchange/exchange.h"

#include "base/cpu.h"
#include "base/memory.h"
#include "worker/exchange/algorithm.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct exchange {
    struct plan plan;
    struct exchange_options options;
    size_t buckets;
    int slots; /* bucket b runs in slot b % slots */
    struct bucket slot[EXCHANGE_SLOTS];
    float *scratch;
    struct transport_request *requests;
    int in_flight, most_in_flight;
    /* The step under way. */
    float *sum;
    float *partial[TREE_SUBTREES_LIMIT];
    size_t ready; /* floats that are final */
    size_t next;  /* bucket to start */
};

static size_t bucket_start(const struct exchange_options *options, size_t bucket) {
    size_t start;
    if (__builtin_mul_overflow(bucket, options->bucket_size, &start) ||
        start > options->vector_size) {
        return options->vector_size;
    }
    return start;
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
    return STATUS_OK;
}

static status plan_init(struct plan *plan, struct transport *transport, int leaves) {
    *plan = (struct plan){
        .transport = transport,
        .rank = transport->rank,
        .ranks = transport->ranks,
        .leaves = leaves,
    };
    TRY(MEMORY_ALLOCATE(&plan->first_subtree, (size_t)plan->ranks + 1));
    struct subtree cover[TREE_SUBTREES_LIMIT];
    for (int pass = 0; pass < 2; pass++) { /* count, then fill */
        int count = 0;
        for (int r = 0; r < plan->ranks; r++) {
            int subtrees = tree_cover(cover, tree_rank_first(r, plan->ranks, leaves),
                tree_rank_leaves(r, plan->ranks, leaves), 0);
            if (pass == 1) {
                memcpy(plan->subtree + count, cover, (size_t)subtrees * sizeof *cover);
            }
            plan->first_subtree[r] = count;
            count += subtrees;
        }
        plan->first_subtree[plan->ranks] = count;
        if (pass == 0) {
            TRY(MEMORY_ALLOCATE(&plan->subtree, (size_t)count));
        }
    }
    return STATUS_OK;
}

/* Scratch and requests of all slots, each with room for the longest bucket and for the last one,
 * which may go by another algorithm. */
static status take_slots(struct exchange *exchange) {
    size_t scratch = 0, requests = 0;
    size_t last = exchange->buckets > 0 ? exchange->buckets - 1 : 0;
    size_t sizes[] = {bucket_start(&exchange->options, 1),
        exchange->options.vector_size - bucket_start(&exchange->options, last)};
    for (int i = 0; i < 2; i++) {
        size_t more_scratch, more_requests;
        algorithm_choose(&exchange->options, exchange->plan.ranks, sizes[i])
            ->need(&more_scratch, &more_requests, &exchange->plan, sizes[i]);
        scratch = more_scratch > scratch ? more_scratch : scratch;
        requests = more_requests > requests ? more_requests : requests;
    }
    exchange->slots = exchange->buckets < EXCHANGE_SLOTS ? (int)exchange->buckets : EXCHANGE_SLOTS;
    scratch = (scratch + 15) / 16 * 16; /* each slot's on a cache line of its own */
    TRY(MEMORY_ALLOCATE(&exchange->scratch, scratch * (size_t)exchange->slots));
    TRY(MEMORY_ALLOCATE(&exchange->requests, requests * (size_t)exchange->slots));
    for (int s = 0; s < exchange->slots; s++) {
        exchange->slot[s] = (struct bucket){
            .tag = TRANSPORT_TAG_EXCHANGE + s * ALGORITHM_TAGS,
            .scratch = exchange->scratch + scratch * (size_t)s,
            .requests = exchange->requests + requests * (size_t)s,
        };
    }
    return STATUS_OK;
}

status exchange_create(struct exchange **exchange, struct transport *transport,
    const struct exchange_options *options) {
    *exchange = NULL;
    TRY(check(options, transport->ranks));
    struct exchange *own;
    TRY(MEMORY_ALLOCATE(&own, 1));
    own->options = *options;
    own->buckets = options->vector_size / options->bucket_size +
                   (options->vector_size % options->bucket_size > 0);
    status result;
    TRY_TO(failed, result, plan_init(&own->plan, transport, options->leaves));
    TRY_TO(failed, result, take_slots(own));
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
    free(exchange->requests);
    free(exchange->scratch);
    free(exchange->plan.subtree);
    free(exchange->plan.first_subtree);
    free(exchange);
}

status exchange_begin(
    struct exchange *exchange, float *sum, float *const *partial, int64_t pictures) {
    struct plan *plan = &exchange->plan;
    assert(exchange->in_flight == 0);
    cpu_flush_denormals(); /* a rank without pictures adds up too, and must do it as all do */
    int subtrees = plan->first_subtree[plan->rank + 1] - plan->first_subtree[plan->rank];
    memcpy(exchange->partial, partial, (size_t)subtrees * sizeof *partial);
    exchange->sum = sum;
    plan->filled = pictures < plan->leaves ? (int)pictures : plan->leaves;
    exchange->ready = 0;
    exchange->next = 0;
    return STATUS_OK;
}

static status advance(struct exchange *exchange, struct bucket *bucket) {
    bool done;
    TRY(bucket->algorithm->advance(bucket, &exchange->plan, &done));
    if (done) {
        bucket->algorithm = NULL;
        exchange->in_flight--;
        activity_span(
            exchange->plan.transport->activity, ACTIVITY_BUCKET, bucket->number, bucket->began);
    }
    return STATUS_OK;
}

/* Starts the buckets that are complete, as far as there are slots. */
static status start_buckets(struct exchange *exchange) {
    const struct exchange_options *options = &exchange->options;
    while (exchange->next < exchange->buckets) {
        size_t from = bucket_start(options, exchange->next);
        size_t to = bucket_start(options, exchange->next + 1);
        struct bucket *bucket = &exchange->slot[exchange->next % (size_t)exchange->slots];
        if (to > exchange->ready || bucket->algorithm != NULL) {
            return STATUS_OK;
        }
        exchange->next++;
        if (exchange->plan.filled == 0) {
            memset(exchange->sum + from, 0, (to - from) * sizeof(float));
            continue;
        }
        *bucket = (struct bucket){
            .algorithm = algorithm_choose(options, exchange->plan.ranks, to - from),
            .size = to - from,
            .sum = exchange->sum + from,
            .tag = bucket->tag,
            .number = (int64_t)exchange->next - 1,
            .began = activity_clock(),
            .scratch = bucket->scratch,
            .requests = bucket->requests,
        };
        for (int s = 0; s < TREE_SUBTREES_LIMIT && exchange->partial[s] != NULL; s++) {
            bucket->partial[s] = exchange->partial[s] + from;
        }
        exchange->in_flight++;
        if (exchange->in_flight > exchange->most_in_flight) {
            exchange->most_in_flight = exchange->in_flight;
        }
        TRY(advance(exchange, bucket));
    }
    return STATUS_OK;
}

status exchange_ready(struct exchange *exchange, size_t from, size_t to) {
    assert(from == exchange->ready && to >= from && to <= exchange->options.vector_size);
    (void)from;
    exchange->ready = to;
    return start_buckets(exchange);
}

status exchange_progress(struct exchange *exchange) {
    for (int s = 0; s < exchange->slots; s++) {
        if (exchange->slot[s].algorithm != NULL) {
            TRY(advance(exchange, &exchange->slot[s]));
        }
    }
    return start_buckets(exchange);
}

static bool is_finished(const struct exchange *exchange) {
    return exchange->in_flight == 0 && exchange->next == exchange->buckets;
}

/* The first bucket that has not come: what a wait waits for. */
static int64_t first_missing(const struct exchange *exchange) {
    int64_t first = (int64_t)exchange->next;
    for (int s = 0; s < exchange->slots; s++) {
        const struct bucket *bucket = &exchange->slot[s];
        if (bucket->algorithm != NULL && bucket->number < first) {
            first = bucket->number;
        }
    }
    return first;
}

status exchange_finish(struct exchange *exchange) {
    struct transport *transport = exchange->plan.transport;
    assert(exchange->ready == exchange->options.vector_size);
    TRY(exchange_progress(exchange));
    if (is_finished(exchange)) {
        return STATUS_OK;
    }
    const struct activity_now before =
        activity_enter(transport->activity, ACTIVITY_EXCHANGE, first_missing(exchange));
    status result = STATUS_OK;
    while (result == STATUS_OK && !is_finished(exchange)) {
        activity_set_detail(transport->activity, first_missing(exchange));
        transport->pause(transport);
        result = exchange_progress(exchange);
    }
    activity_leave(transport->activity, before);
    return result;
}

status exchange_sum(
    struct exchange *exchange, float *sum, float *const *partial, int64_t pictures) {
    TRY(exchange_begin(exchange, sum, partial, pictures));
    TRY(exchange_ready(exchange, 0, exchange->options.vector_size));
    return exchange_finish(exchange);
}

int exchange_in_flight(const struct exchange *exchange) {
    return exchange->in_flight;
}

int exchange_most_in_flight(const struct exchange *exchange) {
    return exchange->most_in_flight;
}
