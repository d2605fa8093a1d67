#include "cases.h"

#include "worker/exchange/agreement.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifdef __SANITIZE_THREAD__
#define THREADS 1 /* it does not see how threads of OpenMP wait for each other */
#else
#define THREADS 2
#endif

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
    c.slow = draw(&state, 4) == 0;
    c.makes = draw(&state, 2);
    c.rounds = 1 + (int)draw(&state, 3);
    c.options.alone = draw(&state, 4) == 0;
    c.options.hold = draw(&state, 4) == 0;
    const size_t grains[] = {0, 1, 3, 16};
    c.options.grain = grains[draw(&state, 4)];
    c.options.threads = draw(&state, 8) == 0 ? THREADS : 1;
    c.options.progress = draw(&state, 2) == 0 ? EXCHANGE_INLINE : EXCHANGE_THREAD;
    return c;
}

/* Partials of empty subtrees are not-a-number: whoever reads one is found out. */
static void fill_vectors(
    struct exchange *exchange, const struct transport *t, const struct exchange_case *c) {
    struct subtree cover[TREE_SUBTREES_LIMIT];
    int leaves = c->options.leaves;
    int subtrees = tree_cover(cover, tree_rank_first(t->rank, t->ranks, leaves),
        tree_rank_leaves(t->rank, t->ranks, leaves), 0);
    for (int s = 0; s < subtrees; s++) {
        float *vector = exchange_vector(exchange, s);
        for (size_t i = 0; i < c->options.vector_size; i++) {
            if (!case_tree_value(&vector[i], c, cover[s].first, cover[s].leaves, i)) {
                vector[i] = NAN;
            }
        }
    }
}

static void sleep_sometimes(const struct exchange_case *c, uint64_t *state) {
    if (c->slow && draw(state, 4) == 0) {
        usleep((useconds_t)draw(state, 200));
    }
}

/* A result that depends on the one before, on the sum and on its place, so that an element made
 * twice, or not at all, or of another's sum, is found out. */
static float made(float before, float sum, size_t place) {
    return 0.5f * before + sum + (float)(place % 7);
}

static void make(void *context, float *results, const float *sum, size_t from, size_t count) {
    (void)context;
    for (size_t i = 0; i < count; i++) {
        results[i] = made(results[i], sum[i], from + i);
    }
}

static status run_round(struct exchange *exchange, struct transport *transport,
    const struct exchange_case *c, uint64_t *state) {
    const struct exchange_maker maker = {.make = make};
    fill_vectors(exchange, transport, c);
    TRY(exchange_begin(exchange, c->pictures, c->makes ? &maker : NULL));
    for (size_t from = 0, to; from < c->options.vector_size; from = to) {
        to = from + 1 + draw(state, c->options.vector_size - from);
        TRY(exchange_ready(exchange, from, to));
        sleep_sometimes(c, state);
        TRY(exchange_progress(exchange));
    }
    return exchange_finish(exchange);
}

static float expected_value(const struct exchange_case *c, size_t i) {
    float sum, expected = 0;
    bool filled = case_tree_value(&sum, c, 0, c->options.leaves, i);
    for (int r = 0; r < c->rounds && filled; r++) {
        expected = c->makes ? made(expected, sum, i) : sum;
    }
    return expected;
}

/* The nearest number of 8 bits. */
static float rounded(float value) {
    int exponent;
    double mantissa = frexp((double)value, &exponent);
    return (float)ldexp(nearbyint(ldexp(mantissa, 8)), exponent - 8);
}

/* The sum over a node's leaves: its maximal subtrees, added up from the left. */
static float node_sum(
    const struct exchange_case *c, const struct exchange_map *map, int node, size_t i) {
    struct subtree cover[TREE_SUBTREES_LIMIT];
    int leaves = c->options.leaves;
    int first = tree_rank_first(map->first[node], map->ranks, leaves);
    int end = tree_rank_first(map->first[node + 1], map->ranks, leaves);
    int subtrees = tree_cover(cover, first, end - first, 0);
    float sum = 0, part;
    for (int s = 0; s < subtrees; s++) {
        if (case_tree_value(&part, c, cover[s].first, cover[s].leaves, i)) {
            sum = s == 0 ? part : sum + part;
        }
    }
    return sum;
}

/* With bf16 between nodes, by what narrow.c says it does. */
static float expected_narrow(
    const struct exchange_case *c, const struct exchange_map *map, size_t i) {
    float residual[64] = {0}, owed = 0, results = 0;
    bool exact = i < c->options.exact;
    for (int r = 0; r < c->rounds && c->pictures > 0; r++) {
        float sum = 0;
        for (int node = 0; node < map->nodes; node++) {
            float wanted = node_sum(c, map, node, i) + residual[node];
            float sent = exact ? wanted : rounded(wanted);
            residual[node] = wanted - sent;
            sum = node == 0 ? sent : sum + sent;
        }
        float next = c->makes ? made(results + owed, sum, i) : sum;
        float before = results;
        results = exact ? next : results + rounded(next - before);
        owed = next - results;
    }
    return results;
}

static size_t count_differences(
    const float *results, const struct exchange_case *c, const struct exchange_map *map) {
    const bool narrow = c->options.wire == EXCHANGE_BF16 && map->nodes > 1;
    size_t differences = 0;
    for (size_t i = 0; i < c->options.vector_size; i++) {
        float expected = narrow ? expected_narrow(c, map, i) : expected_value(c, i);
        differences += memcmp(&expected, &results[i], sizeof expected) != 0;
    }
    return differences;
}

/* In double, by plain addition of the leaves; a share of what was added up in all. */
static double find_error(const float *results, const struct exchange_case *c) {
    double worst = 0;
    for (size_t i = 0; i < c->options.vector_size; i++) {
        double sum = 0, size = 0, expected = 0, before = 0;
        for (int leaf = 0; leaf < c->options.leaves && leaf < c->pictures; leaf++) {
            double value = (double)case_leaf_value(c->seed, leaf, i);
            sum += value;
            size += fabs(value);
        }
        for (int r = 0; r < c->rounds && c->pictures > 0; r++) {
            expected = c->makes ? 0.5 * before + sum + (double)(i % 7) : sum;
            before = expected;
        }
        worst = fmax(worst, fabs((double)results[i] - expected) / (size + 12));
    }
    return worst;
}

static uint64_t digest(const float *results, size_t count) {
    uint64_t state = count;
    for (size_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &results[i], sizeof bits);
        state = mix(state ^ bits);
    }
    return state;
}

/* Every element is in a piece of some rank: of one, or of one rank on every node. */
static bool pieces_cover(
    struct exchange *exchange, struct transport *transport, const struct exchange_case *c) {
    int64_t owned = 0, size = (int64_t)c->options.vector_size;
    bool shared = c->options.small_bucket > 0 || c->options.algorithm == EXCHANGE_NATIVE;
    int nodes = exchange_get_map(exchange).nodes;
    for (size_t i = 0; i < exchange_pieces(exchange); i++) {
        size_t from, to;
        exchange_piece(&from, &to, exchange, i);
        owned += (int64_t)(to - from);
    }
    if (agreement_sum(transport, &owned, 1) != STATUS_OK) {
        return false;
    }
    return owned >= size && owned <= size * nodes && (owned == size || shared);
}

bool case_find_outcome(
    struct case_outcome *outcome, struct transport *transport, const struct exchange_case *c) {
    struct exchange *exchange;
    uint64_t state = c->seed + (uint64_t)transport->rank; /* each rank in its own rhythm */
    bool good = exchange_create(&exchange, transport, &c->options) == STATUS_OK;
    struct exchange_map map = {0};
    for (int r = 0; r < c->rounds && good; r++) {
        map = exchange_get_map(exchange);
        int64_t sent = transport->bytes_sent;
        good = run_round(exchange, transport, c, &state) == STATUS_OK;
        sent = transport->bytes_sent - sent;
        int64_t expected = exchange_bytes(&c->options, &map, c->pictures);
        if (good && sent != expected) {
            fprintf(stderr, "rank %d of %d sent %lld bytes, expected %lld\n", transport->rank,
                transport->ranks, (long long)sent, (long long)expected);
            good = false;
            break;
        }
    }
    if (good) {
        const float *results = exchange_results(exchange);
        *outcome = (struct case_outcome){count_differences(results, c, &map),
            find_error(results, c), digest(results, c->options.vector_size)};
        good = pieces_cover(exchange, transport, c);
    } else {
        fprintf(stderr, "rank %d: %s\n", transport->rank, status_message());
    }
    exchange_destroy(exchange);
    return good;
}

bool case_run(struct transport *transport, const struct exchange_case *c) {
    struct case_outcome outcome = {0};
    bool good = case_find_outcome(&outcome, transport, c);
    if (!good || outcome.differences > 0) {
        fprintf(stderr,
            "rank %d of %d (%d of %d on node %d of %d), %d leaves, %lld pictures, %zu floats in "
            "buckets of %zu (small: %zu, grain: %zu), %s%s%s%s%s%d rounds, seed %llu: %zu wrong\n",
            transport->rank, transport->ranks, transport->node_rank, transport->node_ranks,
            transport->node, transport->nodes, c->options.leaves, (long long)c->pictures,
            c->options.vector_size, c->options.bucket_size, c->options.small_bucket,
            c->options.grain, c->options.alone ? "alone, " : "", c->options.hold ? "held, " : "",
            c->makes ? "made, " : "", c->options.wire == EXCHANGE_BF16 ? "bf16, " : "",
            c->options.progress == EXCHANGE_THREAD ? "by a thread, " : "", c->rounds,
            (unsigned long long)c->seed, outcome.differences);
        return false;
    }
    return true;
}
