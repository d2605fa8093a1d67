#include "base/digest.h"
#include "base/tree.h"
#include "shard/loader.h"
#include "support/chain.h"
#include "support/sample.h"
#include "support/support.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define RECORDS 107
#define LEAVES  8
#define BATCH   24
#define SEED    5

static const struct sample sample = {
    .records = RECORDS, .shards = 4, .channels = 3, .height = 9, .width = 8};
static const char *const text = "[crop: {size: 8, padding: 1}, flip, normalize: {mean: 0, std: 1}]";

/* One data set and one chain for all tests. */
static struct dataset *dataset;
static struct chain chain;
static const char *folder;

static void set_up(void) {
    if (folder == NULL) {
        folder = test_folder();
        CU_ASSERT_EQUAL_FATAL(sample_write(sample_path(folder, "set"), &sample), STATUS_OK);
    }
    CU_ASSERT_EQUAL_FATAL(dataset_open(&dataset, sample_path(folder, "set")), STATUS_OK);
    CU_ASSERT_EQUAL_FATAL(
        chain_init(&chain, text, true, dataset_get_information(dataset)->shape), STATUS_OK);
}
static void tear_down(void) {
    chain_release(&chain);
    dataset_close(dataset);
}

static struct loader_options make_options(enum order_shuffle shuffle, int threads) {
    return (struct loader_options){.order = {.records = RECORDS,
                                       .shards = 4,
                                       .leaves = LEAVES,
                                       .batch = BATCH,
                                       .shuffle = shuffle,
                                       .seed = SEED},
        .leaves = LEAVES,
        .epochs = 2,
        .threads = threads,
        .ahead = 3};
}

/* Everything the loader gives, as one digest; counts pictures. */
static uint64_t drain(const struct loader_options *options, int64_t *pictures) {
    struct loader *loader;
    const struct batch *batch;
    uint64_t digest = 0;
    *pictures = 0;
    CU_ASSERT_EQUAL_FATAL(loader_create(&loader, dataset, chain.chain, options), STATUS_OK);
    for (;;) {
        CU_ASSERT_EQUAL_FATAL(loader_next(&batch, loader), STATUS_OK);
        if (batch == NULL) {
            break;
        }
        size_t count = (size_t)batch->pictures;
        digest = digest_add(digest, &batch->epoch, sizeof batch->epoch);
        digest = digest_add(digest, &batch->step, sizeof batch->step);
        digest = digest_add(digest, batch->records, count * sizeof *batch->records);
        digest = digest_add(digest, batch->targets, count * sizeof *batch->targets);
        digest = digest_add(
            digest, batch->pixels, count * shape_elements(batch->shape) * sizeof *batch->pixels);
        *pictures += batch->pictures;
    }
    CU_ASSERT_EQUAL(loader_next(&batch, loader), STATUS_OK);
    CU_ASSERT_PTR_NULL(batch);
    if (options->leaves < LEAVES) {
        CU_ASSERT_EQUAL(loader_get_counts(loader).records, *pictures);
    }
    loader_destroy(loader);
    return digest;
}

static void test_loader__gives_the_same_bytes_for_any_threads(void) {
    set_up();
    for (int shuffle = ORDER_NONE; shuffle <= ORDER_SHARD; shuffle++) {
        uint64_t digests[4];
        const int threads[4] = {1, 2, 5, 2};
        for (int i = 0; i < 4; i++) {
            struct loader_options options = make_options((enum order_shuffle)shuffle, threads[i]);
            options.ahead = i == 3 ? 2 : 4;
            int64_t pictures;
            digests[i] = drain(&options, &pictures);
            CU_ASSERT_EQUAL(pictures, 2 * RECORDS);
        }
        CU_ASSERT(digests[0] == digests[1] && digests[1] == digests[2]);
        CU_ASSERT_EQUAL(digests[2], digests[3]);
    }
    tear_down();
}

/* One batch against order, data set and chain, asked without a loader. */
static void check_batch(const struct batch *batch, const struct loader_options *options) {
    const struct order *order = &options->order;
    int64_t at = 0, first = tree_leaf_start(order_step_pictures(order, batch->step), order->leaves,
                        options->first_leaf);
    size_t elements = shape_elements(batch->shape);
    float *expected = malloc(elements * sizeof *expected);
    CU_ASSERT_EQUAL(batch->first_position, first);
    for (int leaf = options->first_leaf; leaf < options->first_leaf + options->leaves; leaf++) {
        for (int64_t i = 0; i < order_leaf_pictures(order, batch->step, leaf); i++, at++) {
            int64_t number = order_record(order, batch->epoch, batch->step, leaf, i);
            struct record record;
            struct picture picture;
            CU_ASSERT_EQUAL_FATAL(dataset_read(&record, dataset, number), STATUS_OK);
            CU_ASSERT_EQUAL_FATAL(record_decode(&picture, &record, 3), STATUS_OK);
            CU_ASSERT_EQUAL(transform_chain_apply(expected, &picture, chain.chain, chain.scratch,
                                batch->epoch, (uint32_t)number),
                STATUS_OK);
            CU_ASSERT_EQUAL(batch->records[at], number);
            CU_ASSERT_EQUAL(batch->targets[at].class_number, sample_class(number));
            CU_ASSERT_EQUAL(
                memcmp(batch->pixels + (size_t)at * elements, expected, elements * sizeof(float)),
                0);
            picture_release(&picture);
        }
    }
    CU_ASSERT_EQUAL(at, batch->pictures);
    free(expected);
}

/* For any number of ranks each reads its own leaves' records, all of them and no other. */
static void test_loader__reads_exactly_the_records_of_its_leaves(void) {
    set_up();
    for (int ranks = 1; ranks <= 5; ranks += 2) {
        int64_t read = 0;
        for (int rank = 0; rank < ranks; rank++) {
            struct loader_options options = make_options(ORDER_SHARD, 2);
            options.epochs = 1, options.epoch = 3;
            options.first_leaf = tree_rank_first(rank, ranks, LEAVES);
            options.leaves = tree_rank_leaves(rank, ranks, LEAVES);
            struct loader *loader;
            const struct batch *batch;
            int64_t steps = 0;
            CU_ASSERT_EQUAL_FATAL(
                loader_create(&loader, dataset, chain.chain, &options), STATUS_OK);
            while (loader_next(&batch, loader) == STATUS_OK && batch != NULL) {
                CU_ASSERT_EQUAL(batch->epoch, 3);
                CU_ASSERT_EQUAL(batch->step, steps++);
                CU_ASSERT_EQUAL((uintptr_t)batch->pixels % 64, 0);
                check_batch(batch, &options);
            }
            CU_ASSERT_EQUAL(steps, order_steps(&options.order));
            read += loader_get_counts(loader).records;
            CU_ASSERT_EQUAL(loader_get_counts(loader).bad_records, 0);
            loader_destroy(loader);
        }
        CU_ASSERT_EQUAL(read, RECORDS);
    }
    tear_down();
}

static void test_loader__starts_where_it_is_told(void) {
    set_up();
    struct loader_options options = make_options(ORDER_GLOBAL, 2);
    options.epochs = 0, options.epoch = 6, options.step = 3;
    struct loader *loader;
    const struct batch *batch;
    CU_ASSERT_EQUAL_FATAL(loader_create(&loader, dataset, chain.chain, &options), STATUS_OK);
    int64_t steps = order_steps(&options.order);
    for (int64_t n = 3; n < 3 * steps; n++) {
        CU_ASSERT_EQUAL_FATAL(loader_next(&batch, loader), STATUS_OK);
        CU_ASSERT_EQUAL(batch->epoch, 6 + n / steps);
        CU_ASSERT_EQUAL(batch->step, n % steps);
        check_batch(batch, &options);
    }
    loader_destroy(loader);
    tear_down();
}

static void test_loader__without_leaves_gives_empty_batches(void) {
    set_up();
    struct loader_options options = make_options(ORDER_GLOBAL, 2);
    options.first_leaf = LEAVES, options.leaves = 0;
    int64_t pictures;
    drain(&options, &pictures);
    CU_ASSERT_EQUAL(pictures, 0);
    /* The short last step leaves this rank nothing, and it does not wait. */
    options = make_options(ORDER_NONE, 2);
    options.order.batch = 104, options.first_leaf = 7, options.leaves = 1, options.epochs = 1;
    drain(&options, &pictures);
    CU_ASSERT_EQUAL(pictures, 13);
    tear_down();
}

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static void test_loader__stops_at_once(void) {
    set_up();
    struct loader_options options = make_options(ORDER_GLOBAL, 3);
    options.epochs = 0, options.ahead = 64;
    for (int taken = 0; taken < 4; taken++) {
        struct loader *loader;
        const struct batch *batch;
        CU_ASSERT_EQUAL_FATAL(loader_create(&loader, dataset, chain.chain, &options), STATUS_OK);
        for (int i = 0; i < taken; i++) {
            CU_ASSERT_EQUAL(loader_next(&batch, loader), STATUS_OK);
        }
        double start = now();
        loader_destroy(loader);
        CU_ASSERT(now() - start < 2);
    }
    tear_down();
}

/* Damages the pixels of a record where it lies in its shard. */
static void damage(const char *set, int64_t number) {
    char name[32];
    size_t size;
    snprintf(name, sizeof name, "shard-%05d.mdb", (int)(number % sample.shards));
    const char *path = sample_path(set, name);
    unsigned char *bytes = sample_file_read(&size, path);
    bool found = false;
    for (size_t at = 0; at + RECORD_HEADER < size && !found; at++) {
        if (memcmp(bytes + at, "CVR1", 4) == 0 && bytes[at + 24] == number) {
            bytes[at + RECORD_HEADER + 5] ^= 0x10;
            found = true;
        }
    }
    CU_ASSERT_FATAL(found);
    sample_file_write(path, bytes, size);
    free(bytes);
}

static atomic_int reports;
static void report(void *context, const char *message) {
    (void)context;
    atomic_fetch_add(&reports, strstr(message, "checksum") != NULL);
}

static void test_loader__bad_records_fail_or_are_replaced(void) {
    const char *set = sample_path(test_folder(), "set");
    const int bad[] = {4, 5, 12, 106, 60};
    enum { BAD = 5 };
    CU_ASSERT_EQUAL_FATAL(sample_write(set, &sample), STATUS_OK);
    for (int i = 0; i < BAD; i++) {
        damage(set, bad[i]);
    }
    CU_ASSERT_EQUAL_FATAL(dataset_open(&dataset, set), STATUS_OK);
    CU_ASSERT_EQUAL_FATAL(
        chain_init(&chain, text, true, dataset_get_information(dataset)->shape), STATUS_OK);

    struct loader *loader;
    const struct batch *batch;
    struct loader_options options = make_options(ORDER_NONE, 3);
    CU_ASSERT_EQUAL_FATAL(loader_create(&loader, dataset, chain.chain, &options), STATUS_OK);
    TEST_ASSERT_FAILS(
        loader_next(&batch, loader), "shard-00000.mdb: key 1 (record 4): checksum"); /* the first */
    TEST_ASSERT_FAILS(loader_next(&batch, loader), "key 1 (record 4)");
    loader_destroy(loader);

    /* In the order of the data set, the next good one by number; 106 is the last. */
    options.skip_bad = true, options.bad_record = report, options.epochs = 1;
    CU_ASSERT_EQUAL_FATAL(loader_create(&loader, dataset, chain.chain, &options), STATUS_OK);
    while (loader_next(&batch, loader) == STATUS_OK && batch != NULL) {
        for (int64_t i = 0; i < batch->pictures; i++) {
            int64_t at = batch->step * BATCH + i;
            int64_t expected = at == 4 || at == 5 ? 6
                               : at == 12         ? 13
                               : at == 106        ? 0
                               : at == 60         ? 61
                                                  : at;
            CU_ASSERT_EQUAL(batch->records[i], expected);
            CU_ASSERT_EQUAL(batch->targets[i].class_number, sample_class(expected));
        }
    }
    CU_ASSERT_EQUAL(loader_get_counts(loader).bad_records, 6); /* 5 is met twice */
    CU_ASSERT_EQUAL(atomic_load(&reports), 6);
    loader_destroy(loader);

    /* A leaf of the shard shuffle stays among its own; threads and ranks change nothing. */
    uint64_t digests[2];
    for (int i = 0; i < 2; i++) {
        int64_t pictures;
        options = make_options(ORDER_SHARD, 1 + 3 * i);
        options.skip_bad = true;
        digests[i] = drain(&options, &pictures);
        CU_ASSERT_EQUAL(pictures, 2 * RECORDS);
    }
    CU_ASSERT_EQUAL(digests[0], digests[1]);
    options.first_leaf = 4, options.leaves = 1;
    CU_ASSERT_EQUAL_FATAL(loader_create(&loader, dataset, chain.chain, &options), STATUS_OK);
    while (loader_next(&batch, loader) == STATUS_OK && batch != NULL) {
        for (int64_t i = 0; i < batch->pictures; i++) {
            CU_ASSERT_EQUAL(batch->records[i] % LEAVES, 4);
            CU_ASSERT(batch->records[i] != 4 && batch->records[i] != 12 && batch->records[i] != 60);
        }
    }
    CU_ASSERT(loader_get_counts(loader).bad_records >= 6);
    loader_destroy(loader);
    tear_down();
}

static void test_loader__says_when_no_good_record_is_left(void) {
    const char *set = sample_path(test_folder(), "set");
    struct sample few = sample;
    few.records = 9;
    CU_ASSERT_EQUAL_FATAL(sample_write(set, &few), STATUS_OK);
    damage(set, 3); /* leaf 3 of 8 has record 3 alone */
    CU_ASSERT_EQUAL_FATAL(dataset_open(&dataset, set), STATUS_OK);
    CU_ASSERT_EQUAL_FATAL(
        chain_init(&chain, text, true, dataset_get_information(dataset)->shape), STATUS_OK);
    struct loader_options options = make_options(ORDER_SHARD, 2);
    options.order.records = 9, options.skip_bad = true;
    struct loader *loader;
    const struct batch *batch;
    CU_ASSERT_EQUAL_FATAL(loader_create(&loader, dataset, chain.chain, &options), STATUS_OK);
    TEST_ASSERT_FAILS(loader_next(&batch, loader), "no good record is left");
    test_assert_message("(record 3)", __FILE__, __LINE__);
    loader_destroy(loader);
    options.threads = 0;
    TEST_ASSERT_FAILS(loader_create(&loader, dataset, chain.chain, &options), "0 loader threads");
    tear_down();
}

TEST_MAIN("loader", TEST(test_loader__gives_the_same_bytes_for_any_threads),
    TEST(test_loader__reads_exactly_the_records_of_its_leaves),
    TEST(test_loader__starts_where_it_is_told),
    TEST(test_loader__without_leaves_gives_empty_batches), TEST(test_loader__stops_at_once),
    TEST(test_loader__bad_records_fail_or_are_replaced),
    TEST(test_loader__says_when_no_good_record_is_left))
