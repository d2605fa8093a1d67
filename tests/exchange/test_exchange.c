#include "cases.h"
#include "ranks.h"
#include "support/support.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define LESS 4 /* a sanitizer takes its time */
#else
#define LESS 1
#endif

struct series {
    uint64_t first;
    int count, leaves;
};

/* Several cases one after the other on one transport, with nothing between them. */
static bool series_run(struct transport *transport, void *context) {
    const struct series *series = context;
    bool good = true;
    for (int i = 0; i < series->count && good; i++) {
        struct exchange_case c =
            case_draw(series->first + (uint64_t)i, transport->ranks, series->leaves);
        good = case_run(transport, &c);
    }
    return good;
}

/* Nodes of at most `most` ranks. */
static void run_all(int count, int most, bool delays) {
    for (int leaves = 1; leaves <= 64; leaves *= 2) {
        for (int ranks = 1; ranks <= 16 && ranks <= leaves; ranks++) {
            struct series series = {test_random(), count, leaves};
            struct ranks_nodes nodes = ranks_draw_nodes(test_random(), ranks, most);
            CU_ASSERT_EQUAL(
                ranks_run_on(&nodes, ranks, delays ? 1 + test_random() : 0, series_run, &series),
                0);
        }
    }
}

static void test_exchange__sums_by_the_tree_for_any_ranks(void) {
    run_all(10 / LESS, 1, false);
}

static void test_exchange__sums_by_the_tree_on_any_nodes(void) {
    run_all(8 / LESS, 16, false);
    run_all(8 / LESS, 4, false);
    run_all(6 / LESS, 2, false);
}

static void test_exchange__sums_by_the_tree_whatever_the_delays(void) {
    run_all(4 / LESS, 1, true);
    run_all(4 / LESS, 4, true);
}

static bool one_run(struct transport *transport, void *context) {
    return case_run(transport, context);
}

/* Large enough for vector code; at the usual limits doubled, halved and sliced. */
static void test_exchange__sums_large_vectors(void) {
    const size_t bucket_sizes[] = {16384, 20000, 70001};
    for (int ranks = 1; ranks <= 5; ranks++) {
        struct exchange_case c = case_draw(test_random(), ranks, 8);
        c.options.vector_size = 70001;
        c.options.small_bucket = EXCHANGE_SMALL_BUCKET;
        c.pictures = 19;
        for (int i = 0; i < 9; i++) {
            struct ranks_nodes nodes = ranks_draw_nodes(test_random(), ranks, 1 << i % 3);
            c.options.bucket_size = bucket_sizes[i / 3];
            CU_ASSERT_EQUAL(ranks_run_on(&nodes, ranks, 0, one_run, &c), 0);
        }
    }
}

struct outcomes {
    struct exchange_case c;
    struct case_outcome of[RANKS_LIMIT];
};

static bool outcome_run(struct transport *transport, void *context) {
    struct outcomes *outcomes = context;
    return case_find_outcome(&outcomes->of[transport->rank], transport, &outcomes->c);
}

static bool same_on_all(const struct outcomes *outcomes, int ranks) {
    bool same = true;
    for (int r = 1; r < ranks; r++) {
        same = same && outcomes->of[r].digest == outcomes->of[0].digest;
    }
    return same;
}

static void test_exchange__ring_gives_other_bits(void) {
    for (int ranks = 1; ranks <= 6; ranks++) {
        struct outcomes ring = {.c = case_draw(test_random(), ranks, 16)};
        ring.c.options.algorithm = EXCHANGE_RING;
        ring.c.options.hold = ring.c.makes = false;
        ring.c.options.grain = 1;
        ring.c.options.vector_size = 480;
        ring.c.options.bucket_size = 200;
        ring.c.pictures = 16;
        CU_ASSERT_EQUAL(ranks_run(ranks, 0, outcome_run, &ring), 0);
        CU_ASSERT_TRUE(same_on_all(&ring, ranks));
        CU_ASSERT_TRUE(ring.of[0].error < 1e-6);
        CU_ASSERT_TRUE(ranks <= 2 ? ring.of[0].differences == 0 : ring.of[0].differences > 50);
    }
}

/* Whatever the order of the transport's own sum, all ranks have the same, and it is the sum. */
static void test_exchange__native_sums_are_sums(void) {
    size_t differences = 0;
    for (int leaves = 1; leaves <= 16; leaves *= 4) {
        for (int ranks = 1; ranks <= leaves && ranks <= 6; ranks++) {
            for (int i = 0; i < 12 / LESS; i++) {
                struct outcomes native = {.c = case_draw(test_random(), ranks, leaves)};
                struct ranks_nodes nodes = ranks_draw_nodes(test_random(), ranks, 3);
                native.c.options.algorithm = EXCHANGE_NATIVE;
                CU_ASSERT_EQUAL(ranks_run_on(&nodes, ranks, 0, outcome_run, &native), 0);
                CU_ASSERT_TRUE(same_on_all(&native, ranks));
                CU_ASSERT_TRUE(native.of[0].error < 1e-6);
                differences += native.of[0].differences;
            }
        }
    }
    CU_ASSERT_TRUE(differences > 50); /* it is not the tree */
}

static bool narrow_run(struct transport *transport, void *context) {
    const struct series *series = context;
    bool good = true;
    for (int i = 0; i < series->count && good; i++) {
        uint64_t number = series->first + (uint64_t)i;
        struct exchange_case c = case_draw(number, transport->ranks, series->leaves);
        c.options.wire = EXCHANGE_BF16;
        c.options.exact = number % 3 == 0 ? 0 : number % 21;
        c.rounds += (int)(number % 4);
        good = case_run(transport, &c);
    }
    return good;
}

static void test_exchange__bf16_is_rounded_and_fed_back(void) {
    for (int leaves = 1; leaves <= 16; leaves *= 4) {
        for (int ranks = 1; ranks <= leaves; ranks++) {
            for (int most = 1; most <= 4; most *= 2) {
                struct series series = {test_random(), 8 / LESS, leaves};
                struct ranks_nodes nodes = ranks_draw_nodes(test_random(), ranks, most);
                CU_ASSERT_EQUAL(ranks_run_on(&nodes, ranks, most == 2 ? 1 + test_random() : 0,
                                    narrow_run, &series),
                    0);
            }
        }
    }
}

/* The same sums again and again are rounded the same way; what is fed back keeps the total within
 * one rounding. */
struct total {
    struct exchange_options options;
    double error[RANKS_LIMIT]; /* of the total, as a share of one sum */
};

static void add_to_total(
    void *context, float *results, const float *sum, size_t from, size_t count) {
    (void)context;
    (void)from;
    for (size_t i = 0; i < count; i++) {
        results[i] += sum[i];
    }
}

enum { TOTAL_ROUNDS = 50 };

static bool total_run(struct transport *transport, void *context) {
    struct total *total = context;
    const struct exchange_maker maker = {.make = add_to_total};
    struct exchange *exchange;
    size_t size = total->options.vector_size;
    if (exchange_create(&exchange, transport, &total->options) != STATUS_OK) {
        return false;
    }
    bool good = true;
    for (int round = 0; round < TOTAL_ROUNDS; round++) {
        for (size_t i = 0; i < size; i++) {
            exchange_vector(exchange, 0)[i] = 1 + (float)(i + (size_t)transport->rank) / 1000;
        }
        good = good && exchange_begin(exchange, 4, &maker) == STATUS_OK &&
               exchange_ready(exchange, 0, size) == STATUS_OK &&
               exchange_finish(exchange) == STATUS_OK;
    }
    double *worst = &total->error[transport->rank];
    for (size_t i = 0; i < size; i++) {
        double sum = 4 + (4 * (double)i + 6) / 1000;
        double error = fabs((double)exchange_results(exchange)[i] - TOTAL_ROUNDS * sum) / sum;
        *worst = error > *worst ? error : *worst;
    }
    exchange_destroy(exchange);
    return good;
}

static void test_exchange__bf16_loses_nothing_in_the_long_run(void) {
    struct total total = {
        .options = {.leaves = 4, .vector_size = 500, .bucket_size = 200, .wire = EXCHANGE_BF16}};
    CU_ASSERT_EQUAL(ranks_run_on(&(struct ranks_nodes){{1, 1, 1, 1}}, 4, 0, total_run, &total), 0);
    for (int r = 0; r < 4; r++) { /* without it: 50 roundings, 0.05 and more */
        CU_ASSERT_TRUE(total.error[r] > 0 && total.error[r] < 0.008);
    }
}

/* Rank 1 waits until rank 0 has had every chance to start its buckets. */
struct overlap {
    struct exchange_options options;
    int most[2], at_ready[2], left[2];
};

static bool overlap_run(struct transport *transport, void *context) {
    struct overlap *overlap = context;
    struct exchange *exchange;
    size_t size = overlap->options.vector_size;
    struct transport_request request;
    char go = 1;
    if (exchange_create(&exchange, transport, &overlap->options) != STATUS_OK) {
        return false;
    }
    bool good = exchange_begin(exchange, 16, NULL) == STATUS_OK;
    if (transport->rank == 1) { /* rank 0 tells when it is done with its part of the test */
        good = good && transport->receive(transport, &request, 0, 1, &go, 1) == STATUS_OK &&
               transport_wait(transport, &request) == STATUS_OK;
    }
    good = good && exchange_ready(exchange, 0, size / 2) == STATUS_OK;
    good = good && exchange_ready(exchange, size / 2, size) == STATUS_OK;
    overlap->at_ready[transport->rank] = exchange_in_flight(exchange);
    if (transport->rank == 0) {
        good = good && exchange_progress(exchange) == STATUS_OK && exchange_in_flight(exchange) > 0;
        good = good && transport->send(transport, &request, 1, 1, &go, 1) == STATUS_OK &&
               transport_wait(transport, &request) == STATUS_OK;
    }
    good = good && exchange_finish(exchange) == STATUS_OK;
    overlap->left[transport->rank] = exchange_in_flight(exchange);
    overlap->most[transport->rank] = exchange_most_in_flight(exchange);
    exchange_destroy(exchange);
    return good;
}

static void test_exchange__buckets_are_in_flight_together(void) {
    for (int nodes = 1; nodes <= 2; nodes++) {
        const struct ranks_nodes two = {{2 / nodes, 2 / nodes}};
        struct overlap overlap = {.options = {.leaves = 2, .vector_size = 300, .bucket_size = 100}};
        CU_ASSERT_EQUAL(ranks_run_on(&two, 2, 0, overlap_run, &overlap), 0);
        CU_ASSERT_EQUAL(overlap.at_ready[0], 3);
        CU_ASSERT_EQUAL(overlap.most[0], 3);
        CU_ASSERT_EQUAL(overlap.left[0], 0);
        CU_ASSERT_EQUAL(overlap.left[1], 0);
        /* Never more than there are slots. */
        overlap.options.bucket_size = 10;
        CU_ASSERT_EQUAL(ranks_run_on(&two, 2, 0, overlap_run, &overlap), 0);
        CU_ASSERT_EQUAL(overlap.at_ready[0], EXCHANGE_SLOTS);
        CU_ASSERT_EQUAL(overlap.most[0], EXCHANGE_SLOTS);
    }
}

static int64_t bytes_of(
    const struct exchange_options *options, int rank, int ranks, int64_t pictures) {
    int first[RANKS_LIMIT + 1];
    for (int r = 0; r <= ranks; r++) {
        first[r] = r;
    }
    return exchange_bytes(options, &(struct exchange_map){rank, ranks, ranks, first}, pictures);
}

/* Known numbers, worked out by hand. */
static void test_exchange__bytes_are_those_of_the_algorithm(void) {
    struct exchange_options options = {.leaves = 8, .vector_size = 1000, .bucket_size = 1000};
    CU_ASSERT_EQUAL(bytes_of(&options, 0, 1, 64), 0);
    CU_ASSERT_EQUAL(bytes_of(&options, 0, 2, 64), 4000);     /* 500 there, 500 back */
    CU_ASSERT_EQUAL(bytes_of(&options, 0, 4, 64), 4 * 1500); /* 500 + 250 + 250 + 500 */
    CU_ASSERT_EQUAL(bytes_of(&options, 3, 4, 2), 4 * 750);   /* no pictures: only back */
    CU_ASSERT_EQUAL(bytes_of(&options, 3, 4, 0), 0);
    /* 3 ranks of 2, 3 and 3 leaves: 1, 2 and 2 subtrees; slices of 333, 333 and 334. */
    CU_ASSERT_EQUAL(bytes_of(&options, 0, 3, 64), 4 * (667 + 2 * 333));
    CU_ASSERT_EQUAL(bytes_of(&options, 1, 3, 64), 4 * (2 * 667 + 2 * 333));
    CU_ASSERT_EQUAL(bytes_of(&options, 2, 3, 64), 4 * (2 * 666 + 2 * 334));
    CU_ASSERT_EQUAL(bytes_of(&options, 2, 3, 5), 4 * 2 * 334);
    /* 63 grains of 16, the last one of 8 floats: 31 and 32 of them. */
    options.grain = 16;
    CU_ASSERT_EQUAL(bytes_of(&options, 0, 2, 64), 4 * (504 + 496));
    CU_ASSERT_EQUAL(bytes_of(&options, 1, 2, 64), 4 * (496 + 504));
    options.grain = 0;
    options.small_bucket = 1000;
    CU_ASSERT_EQUAL(bytes_of(&options, 0, 8, 64), 3 * 4000);
    CU_ASSERT_EQUAL(bytes_of(&options, 0, 4, 64), 2 * 4000);
    options.small_bucket = 500; /* twice as much among few */
    CU_ASSERT_EQUAL(bytes_of(&options, 1, 8, 64), 4 * 1750);
    CU_ASSERT_EQUAL(bytes_of(&options, 0, 4, 64), 2 * 4000);
    options.small_bucket = 499;
    CU_ASSERT_EQUAL(bytes_of(&options, 0, 4, 64), 4 * 1500);
    options.small_bucket = 1500; /* of 3 ranks 4 subtrees beside one: 4000 floats */
    CU_ASSERT_EQUAL(bytes_of(&options, 0, 4, 64), 2 * 4000);
    CU_ASSERT_EQUAL(bytes_of(&options, 3, 4, 2), 0);
    CU_ASSERT_EQUAL(bytes_of(&options, 0, 3, 64), 4 * (667 + 2 * 333));
    options.small_bucket = 2000;
    CU_ASSERT_EQUAL(bytes_of(&options, 0, 3, 64), 2 * 4000);
    CU_ASSERT_EQUAL(bytes_of(&options, 1, 3, 64), 2 * 2 * 4000);
    options.vector_size = options.bucket_size = 65536; /* sliced: 4 pictures are of ranks 0 and 1 */
    CU_ASSERT_EQUAL(bytes_of(&options, 3, 4, 64), 4 * 6 * 16384);
    CU_ASSERT_EQUAL(bytes_of(&options, 1, 4, 4), 4 * 6 * 16384);
    CU_ASSERT_EQUAL(bytes_of(&options, 3, 4, 4), 4 * 3 * 16384);
    options.vector_size = options.bucket_size = 1000;
    options.algorithm = EXCHANGE_RING;
    CU_ASSERT_EQUAL(bytes_of(&options, 0, 4, 64), 4 * 1500);
    options.algorithm = EXCHANGE_NATIVE;
    CU_ASSERT_EQUAL(bytes_of(&options, 3, 5, 64), 4 * 1000);
    CU_ASSERT_EQUAL(bytes_of(&options, 0, 1, 64), 0);
    /* Half of 500 there and 500 back, of 750 and 3 times 250; 16 floats stay as they are. */
    options.algorithm = EXCHANGE_TREE;
    options.wire = EXCHANGE_BF16;
    CU_ASSERT_EQUAL(bytes_of(&options, 0, 2, 64), 2 * 1000);
    CU_ASSERT_EQUAL(bytes_of(&options, 2, 4, 2), 2 * 1500);
    CU_ASSERT_EQUAL(bytes_of(&options, 0, 1, 64), 0);
    options.exact = 16;
    CU_ASSERT_EQUAL(bytes_of(&options, 0, 4, 64), 2 * (750 + 3 * (250 + 16)));
    CU_ASSERT_EQUAL(bytes_of(&options, 1, 4, 64), 2 * (750 + 16 + 3 * 250));
}

/* On nodes of 2 and 2: two columns of 500, each halved between two ranks. On nodes of 3 and 1:
 * three of 333, 333 and 334; the first node has two subtrees, the second one; halves of 166 and
 * 167, or 167 twice. */
static void test_exchange__bytes_of_nodes(void) {
    struct exchange_options options = {.leaves = 4, .vector_size = 1000, .bucket_size = 1000};
    const int one[] = {0, 4}, even[] = {0, 2, 4}, uneven[] = {0, 3, 4};
    for (int rank = 0; rank < 4; rank++) {
        CU_ASSERT_EQUAL(exchange_bytes(&options, &(struct exchange_map){rank, 4, 1, one}, 64), 0);
        CU_ASSERT_EQUAL(
            exchange_bytes(&options, &(struct exchange_map){rank, 4, 2, even}, 64), 2000);
    }
    CU_ASSERT_EQUAL(
        exchange_bytes(&options, &(struct exchange_map){0, 4, 2, uneven}, 64), 4 * (2 * 167 + 166));
    CU_ASSERT_EQUAL(
        exchange_bytes(&options, &(struct exchange_map){2, 4, 2, uneven}, 64), 4 * (2 * 167 + 167));
    CU_ASSERT_EQUAL(exchange_bytes(&options, &(struct exchange_map){3, 4, 2, uneven}, 64),
        4 * (166 + 167 + 166 + 167 + 167 + 167));
}

/* The difference of two leaves is below the smallest normal number. Threads that have computed
 * nothing else add it up here, and all of them must take it for zero. */
static bool denormal_run(struct transport *transport, void *context) {
    (void)context;
    struct exchange *exchange;
    const struct exchange_options options = {.leaves = 4, .vector_size = 1, .bucket_size = 1};
    /* Of 3 ranks, 0 and 1 have one leaf and 2 has two, which are one subtree. */
    float value = transport->rank == 0 ? 1.5e-38f : transport->rank == 1 ? -1.4e-38f : 0;
    bool good = exchange_create(&exchange, transport, &options) == STATUS_OK;
    if (good) {
        *exchange_vector(exchange, 0) = value;
        good = exchange_sum(exchange, 4) == STATUS_OK && *exchange_results(exchange) == 0;
    }
    exchange_destroy(exchange);
    return good;
}

static void test_exchange__flushes_denormals(void) {
    for (int ranks = 3; ranks <= 4; ranks++) {
        for (int most = 1; most <= 4; most++) {
            struct ranks_nodes nodes = ranks_draw_nodes(test_random(), ranks, most);
            CU_ASSERT_EQUAL(ranks_run_on(&nodes, ranks, 0, denormal_run, NULL), 0);
        }
    }
}

/* Where nothing but a thread can move it on while the rank does not: rank 0 hands its vector over,
 * and waits for word that rank 1 has finished, which takes rank 0's part. */
static bool thread_run(struct transport *transport, void *context) {
    const struct exchange_options *options = context;
    struct exchange *exchange;
    size_t size = options->vector_size;
    char done = 1;
    bool good = exchange_create(&exchange, transport, options) == STATUS_OK;
    for (size_t i = 0; good && i < size; i++) {
        exchange_vector(exchange, 0)[i] = (float)(i + (size_t)transport->rank);
    }
    good = good && exchange_begin(exchange, 2, NULL) == STATUS_OK &&
           exchange_ready(exchange, 0, size) == STATUS_OK;
    if (transport->rank == 0) {
        good = good && transport_receive(transport, 1, 1, &done, 1) == STATUS_OK &&
               exchange_finish(exchange) == STATUS_OK;
    } else {
        good = good && exchange_finish(exchange) == STATUS_OK &&
               transport_send(transport, 0, 1, &done, 1) == STATUS_OK;
    }
    for (size_t i = 0; good && i < size; i++) {
        good = exchange_results(exchange)[i] == (float)(2 * i + 1);
    }
    exchange_destroy(exchange);
    return good;
}

static void test_exchange__a_thread_moves_it_on(void) {
    const struct ranks_nodes two = {{1, 1}};
    for (size_t bucket = 10; bucket <= 1000; bucket *= 10) {
        struct exchange_options options = {
            .progress = bucket == 10 ? EXCHANGE_THREAD : EXCHANGE_AUTO,
            .leaves = 2,
            .vector_size = 1000,
            .bucket_size = bucket};
        CU_ASSERT_EQUAL(ranks_run_on(&two, 2, 0, thread_run, &options), 0);
    }
}

static bool no_thread_run(struct transport *transport, void *context) {
    struct exchange *exchange;
    struct transport one_thread = *transport;
    one_thread.any_thread = false;
    (void)context;
    struct exchange_options options = {
        .progress = EXCHANGE_THREAD, .leaves = 2, .vector_size = 10, .bucket_size = 4};
    bool good = exchange_create(&exchange, &one_thread, &options) == STATUS_USAGE &&
                strstr(status_message(), "MPI_THREAD_SERIALIZED") != NULL;
    options.progress = EXCHANGE_AUTO;
    good = good && exchange_create(&exchange, &one_thread, &options) == STATUS_OK;
    exchange_destroy(exchange);
    return good;
}

static bool refusals_run(struct transport *transport, void *context) {
    (void)context;
    struct exchange *exchange;
    struct exchange_options options = {.leaves = 2, .vector_size = 10, .bucket_size = 4};
    bool good = exchange_create(&exchange, transport, &options) == STATUS_USAGE &&
                strstr(status_message(), "3 ranks for a batch of 2 leaves") != NULL;
    options.leaves = 6;
    good = good && exchange_create(&exchange, transport, &options) == STATUS_USAGE &&
           strstr(status_message(), "power of two") != NULL;
    options.leaves = 4;
    options.bucket_size = 0;
    good = good && exchange_create(&exchange, transport, &options) == STATUS_USAGE;
    options.bucket_size = (size_t)1 << 29;
    return good && exchange_create(&exchange, transport, &options) == STATUS_USAGE &&
           strstr(status_message(), "bucket of 536870912 floats") != NULL;
}

static void test_exchange__refuses_what_cannot_be(void) {
    CU_ASSERT_EQUAL(ranks_run(3, 0, refusals_run, NULL), 0);
    const struct ranks_nodes two = {{1, 1}};
    CU_ASSERT_EQUAL(ranks_run_on(&two, 2, 0, no_thread_run, NULL), 0);
}

TEST_MAIN("exchange", TEST(test_exchange__sums_by_the_tree_for_any_ranks),
    TEST(test_exchange__sums_by_the_tree_on_any_nodes),
    TEST(test_exchange__sums_by_the_tree_whatever_the_delays),
    TEST(test_exchange__sums_large_vectors), TEST(test_exchange__ring_gives_other_bits),
    TEST(test_exchange__native_sums_are_sums), TEST(test_exchange__bf16_is_rounded_and_fed_back),
    TEST(test_exchange__bf16_loses_nothing_in_the_long_run),
    TEST(test_exchange__buckets_are_in_flight_together),
    TEST(test_exchange__bytes_are_those_of_the_algorithm), TEST(test_exchange__bytes_of_nodes),
    TEST(test_exchange__a_thread_moves_it_on), TEST(test_exchange__flushes_denormals),
    TEST(test_exchange__refuses_what_cannot_be))
