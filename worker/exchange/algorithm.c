#include "worker/exchange/algorithm.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

/* Doubling sends a column log2(nodes) times, halving and slices 2 - 2 / nodes times. Among few
 * nodes twice as large a column is better off whole, and a large one in slices: two rounds of
 * messages in place of four, to all. Over 4 hosts on two cores MPI_Allreduce took, of the time of
 * ours,
 *
 *                     1 KiB     16 KiB   64 KiB   128 KiB   256 KiB   1 MiB   4 MiB
 *     whole to all    0.77      1.17     0.71
 *     doubled         0.95      1.36     1.16     0.74
 *     halved          0.65      1.01     1.03     1.06      1.10      1.19    0.99
 *     in slices                          0.84     0.93      1.13      1.33    1.14
 */
#define FEW_NODES 4

static size_t doubled_at_most(const struct exchange_options *options, const struct plan *plan) {
    return plan->nodes <= FEW_NODES ? 2 * options->small_bucket : options->small_bucket;
}

static bool takes_whole(
    const struct exchange_options *options, const struct plan *plan, size_t size) {
    size_t others = (size_t)plan->first_subtree[plan->nodes] - 1;
    return size <= options->small_bucket && size * others <= 2 * options->small_bucket;
}

const struct algorithm *algorithm_choose(
    const struct exchange_options *options, const struct plan *plan, size_t size) {
    if (options->algorithm != EXCHANGE_TREE) {
        return options->algorithm == EXCHANGE_RING ? &algorithm_ring : &algorithm_native;
    }
    if (options->wire == EXCHANGE_BF16) {
        return &algorithm_narrow;
    }
    if (!plan->aligned) {
        return takes_whole(options, plan, size) ? &algorithm_whole : &algorithm_partials;
    }
    if (size <= doubled_at_most(options, plan)) {
        return &algorithm_doubling;
    }
    /* Between two, both are the same messages. */
    const bool few = plan->nodes > 2 && plan->nodes <= FEW_NODES;
    return few && size >= EXCHANGE_SLICED_COLUMN ? &algorithm_partials : &algorithm_halving;
}

static bool is_aligned(const struct plan *plan) {
    bool aligned = tree_is_power_of_two(plan->nodes);
    for (int n = 0; n < plan->nodes; n++) {
        aligned = aligned && plan->first_leaf[n] == tree_rank_first(n, plan->nodes, plan->leaves);
    }
    return aligned;
}

status plan_init(struct plan *plan, int ranks) {
    TRY(MEMORY_ALLOCATE(&plan->first_subtree, (size_t)plan->nodes + 1));
    TRY(MEMORY_ALLOCATE(&plan->first_leaf, (size_t)plan->nodes + 1));
    for (int n = 0; n <= plan->nodes; n++) {
        plan->first_leaf[n] = tree_rank_first(plan->node_first[n], ranks, plan->leaves);
    }
    plan->aligned = is_aligned(plan);
    struct subtree cover[TREE_SUBTREES_LIMIT];
    for (int pass = 0; pass < 2; pass++) { /* count, then fill */
        int count = 0;
        for (int n = 0; n < plan->nodes; n++) {
            int first = plan->first_leaf[n];
            int subtrees = tree_cover(cover, first, plan->first_leaf[n + 1] - first, 0);
            if (pass == 1) {
                memcpy(plan->subtree + count, cover, (size_t)subtrees * sizeof *cover);
            }
            plan->first_subtree[n] = count;
            count += subtrees;
        }
        plan->first_subtree[plan->nodes] = count;
        if (pass == 0) {
            TRY(MEMORY_ALLOCATE(&plan->subtree, (size_t)count));
        }
    }
    return STATUS_OK;
}

void plan_release(struct plan *plan) {
    free(plan->subtree);
    free(plan->first_subtree);
    free(plan->first_leaf);
    *plan = (struct plan){0};
}

bool plan_node_filled(const struct plan *plan, int node) {
    return plan->first_leaf[node] < plan->filled;
}

static size_t slice_start(size_t size, size_t grain, int slice, int slices) {
    size_t grains = (size + grain - 1) / grain, before = (size_t)slice, all = (size_t)slices;
    size_t start = (grains / all * before + grains % all * before / all) * grain;
    return start < size ? start : size;
}

struct range slice_range(size_t size, size_t grain, int slice, int slices) {
    return (struct range){
        slice_start(size, grain, slice, slices), slice_start(size, grain, slice + 1, slices)};
}

/* The rank of a node that drives the column. */
static int driver(const struct column *column, const struct plan *plan, int node) {
    int first = plan->node_first[node], ranks = plan->node_first[node + 1] - first;
    return first + column->number % ranks;
}

status column_send_bytes(struct column *column, const struct plan *plan, int node, int phase,
    const void *bytes, size_t size) {
    struct transport_request *request = &column->requests[column->request_count++];
    *request = (struct transport_request){0};
    if (size > 0) {
        TRY(plan->transport->send(plan->transport, request, driver(column, plan, node),
            column->tag + phase, bytes, size));
    }
    return STATUS_OK;
}

status column_receive_bytes(
    struct column *column, const struct plan *plan, int node, int phase, void *bytes, size_t size) {
    struct transport_request *request = &column->requests[column->request_count++];
    *request = (struct transport_request){0};
    if (size > 0) {
        TRY(plan->transport->receive(plan->transport, request, driver(column, plan, node),
            column->tag + phase, bytes, size));
    }
    return STATUS_OK;
}

status column_send(struct column *column, const struct plan *plan, int node, int phase,
    const float *values, size_t count) {
    return column_send_bytes(column, plan, node, phase, values, count * sizeof *values);
}

status column_receive(struct column *column, const struct plan *plan, int node, int phase,
    float *values, size_t count) {
    return column_receive_bytes(column, plan, node, phase, values, count * sizeof *values);
}

status column_test(struct column *column, const struct plan *plan, int count, bool *done) {
    *done = true;
    while (column->complete < count && *done) {
        TRY(plan->transport->test(plan->transport, &column->requests[column->complete], done));
        column->complete += *done;
    }
    return STATUS_OK;
}

void column_reuse_requests(struct column *column) {
    column->request_count = 0;
    column->complete = 0;
}

void column_add_up(struct column *column, const struct plan *plan) {
    int first = plan->first_subtree[plan->node], end = plan->first_subtree[plan->node + 1];
    float *sum = column->partial[0];
    if (!plan_node_filled(plan, plan->node)) {
        memset(sum, 0, column->size * sizeof *sum);
    }
    for (int s = first + 1; s < end && plan->subtree[s].first < plan->filled; s++) {
        vector_add(sum, sum, column->partial[s - first], column->size);
    }
}
