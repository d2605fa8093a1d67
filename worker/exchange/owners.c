/* Vectors that lie in pieces with those who own them. Rank 0 deals with one piece after the other:
 * this is for checkpoints, not for steps. */
#include "worker/exchange/agreement.h"
#include "worker/exchange/exchange_internal.h"

#define MESSAGE ((size_t)1 << 26) /* floats of one message */

/* The rank that owns element `at` as `node` sees it, and where its piece ends. */
static int owner_of(size_t *end, const struct exchange *exchange, int node, size_t at) {
    const struct plan *plan = &exchange->plan;
    size_t bucket = at / exchange->options.bucket_size;
    int column = 0;
    struct range range = exchange_column(exchange, bucket, 0);
    while (at >= range.to) {
        range = exchange_column(exchange, bucket, ++column);
    }
    size_t size = range.to - range.from;
    const struct algorithm *algorithm = algorithm_choose(&exchange->options, plan, size);
    int owner = algorithm->shared ? node : 0;
    struct range own = algorithm->owned(plan, size, owner);
    while (at < range.from + own.from || at >= range.from + own.to) {
        own = algorithm->owned(plan, size, ++owner);
    }
    *end = range.from + own.to;
    int first = plan->node_first[owner], ranks = plan->node_first[owner + 1] - first;
    return first + column % ranks;
}

/* The rank that drives the column of element `at` on `node`, and where the column ends. */
static int driver_of(size_t *end, const struct exchange *exchange, int node, size_t at) {
    const struct plan *plan = &exchange->plan;
    int column = 0;
    struct range range;
    do {
        range = exchange_column(exchange, at / exchange->options.bucket_size, column++);
    } while (at >= range.to);
    *end = range.to;
    int first = plan->node_first[node], ranks = plan->node_first[node + 1] - first;
    return first + (column - 1) % ranks;
}

/* Brings values of one rank to another, which may be the same. */
static status bring(struct transport *transport, float *to_values, const float *from_values,
    int from, int to, size_t count) {
    for (size_t at = 0; at < count; at += MESSAGE) {
        size_t some = count - at < MESSAGE ? count - at : MESSAGE;
        if (from == to && transport->rank == from) {
            vector_copy(to_values + at, from_values + at, some);
        } else if (transport->rank == from) {
            TRY(transport_send(
                transport, to, TRANSPORT_TAG_VECTOR, from_values + at, some * sizeof(float)));
        } else if (transport->rank == to) {
            TRY(transport_receive(
                transport, from, TRANSPORT_TAG_VECTOR, to_values + at, some * sizeof(float)));
        }
    }
    return STATUS_OK;
}

status exchange_collect(
    struct exchange *exchange, float *packed, const float *vector, size_t from, size_t to) {
    for (size_t at = from, end; at < to; at = end) {
        int owner = owner_of(&end, exchange, 0, at);
        end = end < to ? end : to;
        TRY(bring(exchange->plan.transport, packed == NULL ? NULL : packed + (at - from),
            vector + at, owner, 0, end - at));
    }
    return STATUS_OK;
}

status exchange_deal(
    struct exchange *exchange, float *vector, const float *packed, size_t from, size_t to) {
    for (size_t at = from, end; at < to; at = end) {
        int last = -1;
        for (int node = 0; node < exchange->plan.nodes; node++) {
            int owner = owner_of(&end, exchange, node, at);
            end = end < to ? end : to;
            if (owner != last) { /* all nodes see one owner, or each its own */
                TRY(bring(exchange->plan.transport, vector + at,
                    packed == NULL ? NULL : packed + (at - from), 0, owner, end - at));
            }
            last = owner;
        }
    }
    return STATUS_OK;
}

/* Vector 0 of what was left out lies with owners, any other with the drivers of one node. */
static int left_of(size_t *end, const struct exchange *exchange, int vector, size_t at) {
    return vector == 0 ? owner_of(end, exchange, 0, at) : driver_of(end, exchange, vector - 1, at);
}

status exchange_collect_left(
    struct exchange *exchange, float *packed, int vector, size_t from, size_t to) {
    const float *left = exchange_left_vector(exchange, vector);
    for (size_t at = from, end; at < to; at = end) {
        int rank = left_of(&end, exchange, vector, at);
        end = end < to ? end : to;
        TRY(bring(exchange->plan.transport, packed == NULL ? NULL : packed + (at - from), left + at,
            rank, 0, end - at));
    }
    return STATUS_OK;
}

status exchange_deal_left(
    struct exchange *exchange, const float *packed, int vector, size_t from, size_t to) {
    float *left = exchange_left_vector(exchange, vector);
    for (size_t at = from, end; at < to; at = end) {
        int rank = left_of(&end, exchange, vector, at);
        end = end < to ? end : to;
        TRY(bring(exchange->plan.transport, left + at, packed == NULL ? NULL : packed + (at - from),
            0, rank, end - at));
    }
    return STATUS_OK;
}

/* Brings a vector that each node has once from rank 0's to all: down the tree in which node n hangs
 * below n without its lowest bit, by their first ranks. */
static status spread(struct exchange *exchange, float *vector) {
    struct transport *transport = exchange->plan.transport;
    const struct plan *plan = &exchange->plan;
    size_t size = exchange->options.vector_size;
    int bit = 1;
    while (bit < plan->nodes && !(plan->node & bit)) {
        bit *= 2;
    }
    if (exchange->node.rank == 0) {
        if (plan->node > 0) {
            int above = plan->node_first[plan->node - bit];
            TRY(bring(transport, vector, vector, above, transport->rank, size));
        }
        for (bit /= 2; bit >= 1; bit /= 2) {
            if (plan->node + bit < plan->nodes) {
                int below = plan->node_first[plan->node + bit];
                TRY(bring(transport, vector, vector, transport->rank, below, size));
            }
        }
    }
    return agreement_status(transport, STATUS_OK); /* nobody reads before all is written */
}

status exchange_spread(struct exchange *exchange) {
    return spread(exchange, exchange->node.results);
}

status exchange_assemble(struct exchange *exchange, float **whole, const float *vector) {
    *whole = exchange->node.home[0];
    TRY(exchange_collect(exchange, *whole, vector, 0, exchange->options.vector_size));
    return spread(exchange, *whole);
}
