#include "worker/exchange/exchange_internal.h"

#include "base/cpu.h"

#include <string.h>

static void make(const struct exchange *exchange, const float *sum, size_t from, size_t to) {
    const struct exchange_maker *maker = exchange->maker;
    float *results = exchange->node.results + from;
    if (maker != NULL) {
        maker->make(maker->context, results, sum, from, to - from);
    } else {
        vector_copy(results, sum, to - from);
    }
}

/* Sums that are not complete, or held, are put where those of the node belong. */
static void put(const struct exchange *exchange, float *const *sum, size_t from, size_t to) {
    const struct plan *plan = &exchange->plan;
    int subtrees = plan->first_subtree[plan->node + 1] - plan->first_subtree[plan->node];
    for (int s = 0; s < subtrees; s++) {
        vector_copy(exchange->node.home[s] + from, sum[s], to - from);
    }
}

static void add_part(const struct exchange *exchange, int thread, size_t from, size_t to) {
    float *strips = exchange->strips + (size_t)thread * exchange->strip_size;
    bool complete = exchange->plan.nodes == 1 && !exchange->options.hold;
    for (size_t at = from, end; at < to; at = end) {
        float *sum[TREE_SUBTREES_LIMIT];
        end = to - at < NODE_STRIP ? to : at + NODE_STRIP;
        node_add(sum, &exchange->node, exchange->plan.filled, strips, at, end);
        if (complete) {
            make(exchange, sum[0], at, end);
        } else {
            put(exchange, sum, at, end);
        }
    }
}

static void make_part(const struct exchange *exchange, int thread, size_t from, size_t to) {
    (void)thread;
    make(exchange, exchange->node.home[0] + from, from, to);
}

/* A thread's share of [from, to), cut at cache lines and at the grain. */
static struct range share_of(const struct exchange *exchange, struct range all, int thread) {
    size_t grain = exchange->plan.grain;
    grain = grain % 16 == 0 ? grain : 16 * grain;
    struct range share = slice_range(all.to - all.from, grain, thread, exchange->adding);
    return (struct range){all.from + share.from, all.from + share.to};
}

typedef void part_function(const struct exchange *exchange, int thread, size_t from, size_t to);

static void run_share(
    const struct exchange *exchange, struct range all, part_function *run, int thread) {
    const struct range share = share_of(exchange, all, thread);
    cpu_flush_denormals();
    if (share.from < share.to) {
        run(exchange, thread, share.from, share.to);
    }
}

/* A team of one is a team to OpenMP: it is made, and woken by the system, twice a column. */
static void on_threads(const struct exchange *exchange, struct range all, part_function *run) {
    const int threads = exchange->adding;
    if (threads == 1) {
        run_share(exchange, all, run, 0);
        return;
    }
#pragma omp parallel for num_threads(threads) schedule(static, 1)
    for (int t = 0; t < threads; t++) {
        run_share(exchange, all, run, t);
    }
}

void exchange_add(struct exchange *exchange, const struct slot *slot) {
    const struct range all = {slot->from, slot->from + slot->column.size};
    if (exchange->plan.filled == 0) {
        if (exchange->maker == NULL) {
            memset(exchange->node.results + all.from, 0, slot->column.size * sizeof(float));
        }
        return;
    }
    on_threads(exchange, all, add_part);
}

void exchange_make(struct exchange *exchange, size_t from, size_t to) {
    const struct range all = {from, to};
    on_threads(exchange, all, make_part);
}
