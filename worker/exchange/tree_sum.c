#include "worker/exchange/tree_sum.h"

#include "base/tree.h"

#include <string.h>

/* One call under way on one rank. */
struct call {
    const struct tree_sum *sum;
    int rank, first, end; /* the rank, and its leaves [first, end) */
    double *partial, *scratch;
    size_t count;
    int taken; /* partials that the recursion has come to, from the left */
};

static int owner(const struct tree_sum *sum, int leaf) {
    return (int)((((int64_t)leaf + 1) * sum->transport->ranks - 1) / sum->leaves);
}

static void add(double *into, const double *values, size_t count) {
    for (size_t i = 0; i < count; i++) {
        into[i] += values[i];
    }
}

/* The sum over the leaves of a node that has pictures, in *value, where this rank is the one to
 * complete it; *value = NULL on the others. */
static status complete(double **value, struct call *call, struct subtree node) {
    const struct tree_sum *sum = call->sum;
    struct transport *transport = sum->transport;
    *value = NULL;
    if (node.first >= call->end || node.first + node.leaves <= call->first) {
        return STATUS_OK;
    }
    if (node.first >= call->first && node.first + node.leaves <= call->end) {
        *value = call->partial + (size_t)call->taken++ * call->count;
        return STATUS_OK;
    }
    const int half = node.leaves / 2;
    const struct subtree right = {node.first + half, half};
    TRY(complete(value, call, (struct subtree){node.first, half}));
    if (right.first >= sum->filled) {
        return STATUS_OK;
    }
    double *other;
    TRY(complete(&other, call, right));
    const size_t size = call->count * sizeof(double);
    const int left_owner = owner(sum, node.first), right_owner = owner(sum, right.first);
    if (*value != NULL && other == NULL) {
        TRY(transport_receive(transport, right_owner, TRANSPORT_TAG_SUMS, call->scratch, size));
        other = call->scratch;
    } else if (*value == NULL && other != NULL) {
        return transport_send(transport, left_owner, TRANSPORT_TAG_SUMS, other, size);
    }
    if (*value != NULL) {
        add(*value, other, call->count);
    }
    return STATUS_OK;
}

/* The ranks that know the sum double in number each time. */
static status hand_out(const struct call *call) {
    struct transport *transport = call->sum->transport;
    const int ranks = owner(call->sum, call->sum->filled - 1) + 1;
    const size_t size = call->count * sizeof(double);
    for (int known = 1; known < ranks; known *= 2) {
        if (call->rank < known && call->rank + known < ranks) {
            TRY(transport_send(
                transport, call->rank + known, TRANSPORT_TAG_SUMS, call->partial, size));
        } else if (call->rank >= known && call->rank < 2 * known) {
            TRY(transport_receive(
                transport, call->rank - known, TRANSPORT_TAG_SUMS, call->partial, size));
        }
    }
    return STATUS_OK;
}

status tree_sum(const struct tree_sum *sum, double *partial, double *scratch, int count) {
    struct transport *transport = sum->transport;
    const int first = tree_rank_first(transport->rank, transport->ranks, sum->leaves);
    struct call call = {
        .sum = sum,
        .rank = transport->rank,
        .first = first,
        .end = first + tree_rank_leaves(transport->rank, transport->ranks, sum->leaves),
        .partial = partial,
        .scratch = scratch,
        .count = (size_t)count,
    };
    const struct activity_now before = activity_enter(transport->activity, ACTIVITY_COLLECTIVE, -1);
    double *value;
    status result = complete(&value, &call, (struct subtree){0, sum->leaves});
    if (result == STATUS_OK) {
        result = hand_out(&call);
    }
    activity_leave(transport->activity, before);
    return result;
}

/* Leaf l begins exactly one right child, of as many leaves as its lowest set bit says; its sum goes
 * away where the left one begins before the rank's own leaves. */
int64_t tree_sum_bytes(int rank, int ranks, int leaves, int filled, int64_t count) {
    const int first = tree_rank_first(rank, ranks, leaves);
    const int end = first + tree_rank_leaves(rank, ranks, leaves);
    int64_t messages = 0;
    for (int leaf = first > 0 ? first : 1; leaf < end && leaf < filled; leaf++) {
        messages += leaf - (leaf & -leaf) < first;
    }
    if (first < filled) {
        for (int known = 1; known < ranks; known *= 2) {
            bool hears =
                rank + known < ranks && tree_rank_first(rank + known, ranks, leaves) < filled;
            messages += rank < known && hears;
        }
    }
    return messages * count * (int64_t)sizeof(double);
}
