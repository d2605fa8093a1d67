#include "cases.h"

#include "base/memory.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static uint64_t mix(uint64_t z) {
    z += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static uint64_t draw(uint64_t *state, uint64_t below) {
    *state = mix(*state);
    return *state % below;
}

float case_leaf_value(uint64_t seed, int leaf, size_t element) {
    uint64_t z = mix(mix(seed + (uint64_t)leaf) + element);
    float mantissa = (float)(int32_t)(z >> 40) / 16777216.0f - 0.5f;
    return ldexpf(mantissa, (int)(z % 13) - 6);
}

bool case_tree_value(float *sum, const struct exchange_case *c, int first, int leaves, size_t i) {
    if (leaves == 1) {
        *sum = case_leaf_value(c->seed, first, i);
        return first < c->pictures; /* of fewer pictures than leaves each leaf has one or none */
    }
    float right;
    bool has_left = case_tree_value(sum, c, first, leaves / 2, i);
    bool has_right = case_tree_value(&right, c, first + leaves / 2, leaves / 2, i);
    if (has_left && has_right) {
        *sum += right;
    } else if (has_right) {
        *sum = right;
    }
    return has_left || has_right;
}

struct exchange_case case_draw(uint64_t number, int ranks, int leaves) {
    uint64_t state = mix(number) + (uint64_t)(ranks * 1000 + leaves);
    struct exchange_case c = {.options = {.leaves = leaves}};
    const uint64_t sizes[] = {4, 40, 300};
    c.options.vector_size = draw(&state, 50) == 0 ? 0 : 1 + draw(&state, sizes[draw(&state, 3)]);
    c.options.bucket_size = 1 + draw(&state, c.options.vector_size + 3);
    if (draw(&state, 3) == 0) { /* many buckets: slots are used again and again */
        c.options.bucket_size = 1 + draw(&state, 1 + c.options.vector_size / 12);
    }
    c.options.small_bucket = draw(&state, 2) * draw(&state, 40);
    const uint64_t pictures[] = {1, 2 * (uint64_t)leaves, (uint64_t)leaves, 100};
    c.pictures = (int64_t)(draw(&state, 30) == 0 ? 0 : 1 + draw(&state, pictures[number % 4]));
    c.seed = draw(&state, UINT64_MAX);
    c.apart = draw(&state, 2);
    c.slow = draw(&state, 4) == 0;
    return c;
}

/* One rank's memory in a case. */
struct share {
    int subtrees;
    struct subtree subtree[TREE_SUBTREES_LIMIT];
    float *partial[TREE_SUBTREES_LIMIT], *sum;
};

static void share_release(struct share *share, const struct exchange_case *c) {
    for (int s = 0; s < share->subtrees; s++) {
        free(share->partial[s]);
    }
    if (c->apart) {
        free(share->sum);
    }
}

/* Partials of empty subtrees are not-a-number: whoever reads one is found out. */
static status share_init(
    struct share *share, const struct transport *t, const struct exchange_case *c) {
    size_t size = c->options.vector_size;
    int leaves = c->options.leaves;
    *share = (struct share){0};
    share->subtrees = tree_cover(share->subtree, tree_rank_first(t->rank, t->ranks, leaves),
        tree_rank_leaves(t->rank, t->ranks, leaves), 0);
    for (int s = 0; s < share->subtrees; s++) {
        TRY(MEMORY_ALLOCATE(&share->partial[s], size));
        for (size_t i = 0; i < size; i++) {
            if (!case_tree_value(&share->partial[s][i], c, share->subtree[s].first,
                    share->subtree[s].leaves, i)) {
                share->partial[s][i] = NAN;
            }
        }
    }
    share->sum = share->partial[0];
    if (c->apart) {
        TRY(MEMORY_ALLOCATE(&share->sum, size));
        memset(share->sum, 0xff, size * sizeof *share->sum);
    }
    return STATUS_OK;
}

static void sleep_sometimes(const struct exchange_case *c, uint64_t *state) {
    if (c->slow && draw(state, 4) == 0) {
        usleep((useconds_t)draw(state, 200));
    }
}

static status sum_up(
    struct transport *transport, const struct exchange_case *c, struct share *share) {
    struct exchange *exchange;
    uint64_t state = c->seed + (uint64_t)transport->rank; /* each rank in its own rhythm */
    TRY(exchange_create(&exchange, transport, &c->options));
    status result;
    TRY_TO(out, result, exchange_begin(exchange, share->sum, share->partial, c->pictures));
    for (size_t from = 0, to; from < c->options.vector_size; from = to) {
        to = from + 1 + draw(&state, c->options.vector_size - from);
        TRY_TO(out, result, exchange_ready(exchange, from, to));
        sleep_sometimes(c, &state);
        TRY_TO(out, result, exchange_progress(exchange));
    }
    TRY_TO(out, result, exchange_finish(exchange));
out:
    exchange_destroy(exchange);
    return result;
}

static size_t count_differences(const float *sum, const struct exchange_case *c) {
    size_t differences = 0;
    for (size_t i = 0; i < c->options.vector_size; i++) {
        float expected;
        if (!case_tree_value(&expected, c, 0, c->options.leaves, i)) {
            expected = 0;
        }
        differences += memcmp(&expected, &sum[i], sizeof expected) != 0;
    }
    return differences;
}

static bool run(size_t *differences, struct transport *transport, const struct exchange_case *c) {
    struct share share;
    int64_t sent = transport->bytes_sent;
    status result = share_init(&share, transport, c);
    if (result == STATUS_OK) {
        result = sum_up(transport, c, &share);
    }
    bool good = result == STATUS_OK;
    if (good) {
        *differences = count_differences(share.sum, c);
    } else {
        fprintf(stderr, "rank %d: %s\n", transport->rank, status_message());
    }
    sent = transport->bytes_sent - sent;
    int64_t expected = exchange_bytes(&c->options, transport->rank, transport->ranks, c->pictures);
    if (good && sent != expected) {
        fprintf(stderr, "rank %d of %d sent %lld bytes, expected %lld\n", transport->rank,
            transport->ranks, (long long)sent, (long long)expected);
        good = false;
    }
    share_release(&share, c);
    return good;
}

bool case_run(struct transport *transport, const struct exchange_case *c) {
    size_t differences = 0;
    bool good = run(&differences, transport, c);
    if (!good || differences > 0) {
        fprintf(stderr,
            "rank %d of %d, %d leaves, %lld pictures, %zu floats in buckets of %zu (small: %zu), "
            "seed %llu: %zu wrong\n",
            transport->rank, transport->ranks, c->options.leaves, (long long)c->pictures,
            c->options.vector_size, c->options.bucket_size, c->options.small_bucket,
            (unsigned long long)c->seed, differences);
        return false;
    }
    return true;
}

size_t case_count_differences(struct transport *transport, const struct exchange_case *c) {
    size_t differences = 0;
    return run(&differences, transport, c) ? differences : 0;
}
