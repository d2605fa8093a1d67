#include "training.h"

#include "support/support.h"

#include "base/memory.h"

#include <math.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define EVERY 4 /* a sanitizer takes its time: one size of chunks for each number of ranks */
#else
#define EVERY 1
#endif

static struct training one_rank(bool sync) {
    struct training training = {.bucket = 1 << 20, .momentum = 0.9, .sync = sync};
    training_run(&training, 1);
    return training;
}

static void test_step__weights_move_and_stay_finite(void) {
    struct training one = one_rank(false);
    size_t moved = 0, finite = 0;
    CU_ASSERT_PTR_NOT_NULL_FATAL(one.velocity);
    for (size_t i = 0; i < one.size; i++) {
        moved += one.velocity[i] != 0;
        finite += isfinite(one.weights[0][i]) != 0;
    }
    CU_ASSERT_EQUAL(finite, one.size);
    CU_ASSERT_TRUE(moved > 500);
    CU_ASSERT_EQUAL(one.metrics[0][1].pictures, 17);
    CU_ASSERT_TRUE(one.metrics[0][0].loss > 0.5 * BATCH && one.metrics[0][0].loss < 5 * BATCH);
    CU_ASSERT_EQUAL(one.metrics[0][0].correct_5, BATCH); /* of 5 classes */
    CU_ASSERT_EQUAL(one.evaluated[0].pictures, BATCH + 17 + 5 + BATCH + 1);
    CU_ASSERT_EQUAL(one.evaluated[0].correct_5, one.evaluated[0].pictures);
    training_release(&one);
}

static void test_step__same_bits_for_any_ranks_chunks_and_buckets(void) {
    struct training one = one_rank(false);
    const size_t buckets[] = {4, 260, 4096, 1 << 20};
    const int chunks[] = {0, 1, 2, 4};
    for (int ranks = 1; ranks <= LEAVES; ranks += ranks == 5 ? 3 : 1) {
        for (int i = ranks % EVERY; i < 4; i += EVERY) {
            const int chunk = chunks[i];
            struct training many = {
                .bucket = buckets[(ranks + i) % 4],
                .chunk = chunk,
                .momentum = 0.9,
            };
            int seen = 0;
            training_run(&many, ranks);
            bool equal = trainings_equal(&many, ranks, &one);
            CU_ASSERT_TRUE(equal);
            if (!equal) {
                printf("\n  %d ranks, chunks of %d, buckets of %zu bytes differ\n", ranks, chunk,
                    many.bucket);
            }
            for (int r = 0; r < ranks; r++) {
                CU_ASSERT_TRUE(many.bytes_right[r]);
                seen += many.seen[r];
            }
            CU_ASSERT_EQUAL(seen, BATCH + 17 + 5 + BATCH + 1);
            training_release(&many);
        }
    }
    training_release(&one);
}

/* With sgd, and with an optimizer that takes norms of the whole gradient first. */
static void test_step__same_bits_on_any_nodes(void) {
    static const char *const texts[] = {NULL, "lamb: {weight_decay: 0.01}"};
    for (int o = 0; o < 2; o++) {
        const struct training plain = {
            .bucket = 1 << 20, .momentum = 0.9, .optimizer = texts[o], .clip_norm = o};
        struct training one = plain;
        training_run(&one, 1);
        for (int ranks = 2; ranks <= LEAVES; ranks++) {
            for (int most = 1; most <= 4; most++) {
                struct training many = plain;
                many.bucket = most % 2 == 1 ? 4096 : 260;
                many.alone = most == 4;
                many.progress = (ranks + most) % 2 == 0 ? EXCHANGE_INLINE : EXCHANGE_THREAD;
                many.nodes = ranks_draw_nodes(test_random(), ranks, most);
                training_run(&many, ranks);
                CU_ASSERT_TRUE(trainings_equal(&many, ranks, &one));
                for (int r = 0; r < ranks; r++) {
                    CU_ASSERT_TRUE(many.bytes_right[r]);
                }
                training_release(&many);
            }
        }
        training_release(&one);
    }
}

/* What goes by statistics of the whole batch: other weights than by leaf, and the same for any
 * ranks, of which some have no pictures. */
static void test_step__same_bits_with_statistics_of_the_whole_batch(void) {
    struct training one = one_rank(true), by_leaf = one_rank(false);
    CU_ASSERT_FALSE(trainings_equal(&one, 1, &by_leaf));
    for (int ranks = 2; ranks <= LEAVES; ranks++) {
        struct training many = {.bucket = 260, .momentum = 0.9, .sync = true};
        many.progress = ranks % 2 == 0 ? EXCHANGE_INLINE : EXCHANGE_THREAD;
        training_run(&many, ranks);
        CU_ASSERT_TRUE(trainings_equal(&many, ranks, &one));
        for (int r = 0; r < ranks; r++) {
            CU_ASSERT_TRUE(many.bytes_right[r]);
        }
        training_release(&many);
    }
    training_release(&one);
    training_release(&by_leaf);
}

static bool refuse_chunks_run(struct transport *transport, void *context) {
    struct worker worker;
    bool good = worker_init(&worker, transport, context) == STATUS_USAGE &&
                strstr(status_message(), "batch norm over the whole batch (sync) cannot") != NULL &&
                strstr(status_message(), "passes: leave train.chunk at 0") != NULL;
    worker_release(&worker);
    return good;
}

/* Of 5 ranks three have 2 leaves and others 1: these run one pass, and fail as those do. */
static void test_step__the_whole_batch_cannot_be_in_chunks(void) {
    struct training training = {.bucket = 4096, .chunk = 1, .sync = true};
    for (int ranks = 2; ranks < LEAVES; ranks++) {
        CU_ASSERT_EQUAL(ranks_run(ranks, 0, refuse_chunks_run, &training), 0);
    }
}

/* ---- who waits for whom ---- */

#define SLOW 1 /* the rank that keeps the others waiting */

struct waiting {
    struct training training;
    struct activity activity[3];
    struct step_times times[3];
    double held, held_computing; /* seconds for which the slow rank did */
    bool held_backward;
};

static bool waits(struct activity *activity, enum activity_phase phase) {
    const struct activity_now now = activity_get(activity);
    return now.step > 0 && now.phase == phase; /* once it is made */
}

/* On the slow rank: until all others wait for it, and then a while longer. */
static double hold(struct waiting *waiting, enum activity_phase phase) {
    for (int r = 0; r < 3; r++) {
        while (r != SLOW && !waits(&waiting->activity[r], phase)) {
            sched_yield();
        }
    }
    const double from = activity_clock();
    nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
    const double seconds = activity_clock() - from;
    waiting->held += seconds;
    return seconds;
}

/* As soon as forward has its pictures, and in the last layer backward: both before batch norm. */
static void hold_in_passes(void *context, int layer, enum net_part part) {
    struct waiting *waiting = context;
    const bool backward = part == NET_PART_WEIGHTS && !waiting->held_backward;
    (void)layer;
    if (part == NET_PART_INPUT || backward) {
        waiting->held_computing += hold(waiting, ACTIVITY_COLLECTIVE);
        waiting->held_backward = backward;
    }
}

static status step_with_a_slow_rank(
    struct worker *worker, struct transport *transport, struct waiting *waiting) {
    const bool slow = transport->rank == SLOW;
    const struct net_watch watch = {.done = hold_in_passes, .context = waiting};
    double rate = 0.05;
    uint32_t flags;
    TRY(worker_init(worker, transport, &waiting->training));
    worker_read(worker, transport, 0, BATCH, FAULT_NONE);
    net_set_watch(worker->net, slow ? &watch : NULL);
    activity_set_step(transport->activity, 1);
    if (slow) {
        hold(waiting, ACTIVITY_AGREEMENT); /* the others meet */
    }
    TRY(step_meet(worker->step, STATUS_OK));
    TRY(step_forward(worker->step, 0, BATCH, worker->pixels, worker->targets));
    if (slow) {
        hold(waiting, ACTIVITY_AGREEMENT); /* the others agree, before backward */
    }
    TRY(step_agree(worker->step, STATUS_OK, 0, &rate, sizeof rate));
    TRY(step_backward(worker->step, &flags, &rate, sizeof rate));
    waiting->times[transport->rank] = step_get_times(worker->step);
    return STATUS_OK;
}

static bool slow_run(struct transport *transport, void *context) {
    struct waiting *waiting = context;
    struct worker worker;
    transport->activity = &waiting->activity[transport->rank];
    bool good = step_with_a_slow_rank(&worker, transport, waiting) == STATUS_OK;
    worker_release(&worker);
    return good;
}

/* Batch norm over the whole batch has ranks wait in the middle of forward and backward. */
static void test_step__waits_for_a_slow_rank_are_no_computing(void) {
    struct waiting waiting = {.training = {.bucket = 4096, .sync = true}};
    for (int r = 0; r < 3; r++) {
        activity_init(&waiting.activity[r]);
    }
    CU_ASSERT_EQUAL(ranks_run(3, 0, slow_run, &waiting), 0);
    for (int r = 0; r < 3; r++) {
        const struct step_times times = waiting.times[r];
        CU_ASSERT_TRUE(
            r == SLOW ? times.compute >= waiting.held_computing : times.waiting >= waiting.held);
        activity_release(&waiting.activity[r]);
    }
    CU_ASSERT_TRUE(waiting.held > waiting.held_computing && waiting.held_computing > 0);
}

/* The test above could pass idly if nothing depended on the order of the sums. */
static void test_step__ring_gives_other_weights(void) {
    struct training one = one_rank(false);
    struct training ring = {.bucket = 4096, .algorithm = EXCHANGE_RING, .momentum = 0.9};
    training_run(&ring, 3);
    CU_ASSERT_FALSE(trainings_equal(&ring, 3, &one));
    CU_ASSERT_TRUE(trainings_equal(&ring, 3, &ring)); /* but one and the same on all ranks */
    training_release(&ring);
    training_release(&one);
}

/* By the transport's own sum every rank updates everything: weights are near those of the tree, and
 * the same on all ranks, also with norms of the whole gradient. (Not with lamb, which makes steps
 * of a size of their own of a gradient that is nothing but rounding.) */
static void test_step__native_sums_train_alike(void) {
    static const char *const texts[] = {NULL, "lars: {trust: 0.02}"};
    for (int o = 0; o < 2; o++) {
        const struct training plain = {
            .bucket = 260, .momentum = 0.9, .optimizer = texts[o], .clip_norm = o};
        struct training one = plain;
        training_run(&one, 1);
        for (int ranks = 1; ranks <= 4; ranks++) {
            struct training native = plain;
            native.algorithm = EXCHANGE_NATIVE;
            training_run(&native, ranks);
            CU_ASSERT_TRUE(trainings_equal(&native, ranks, &native));
            CU_ASSERT_TRUE(trainings_difference(&native, &one) < 1e-4);
            for (int r = 0; r < ranks; r++) {
                CU_ASSERT_TRUE(native.bytes_right[r]);
            }
            training_release(&native);
        }
        training_release(&one);
    }
}

/* In bf16 between nodes: weights near those of the tree, the same on all ranks, and the same bits
 * wherever the leaves lie on the same nodes. */
static void test_step__bf16_depends_on_nodes_alone(void) {
    static const char *const texts[] = {NULL, "lars: {trust: 0.02}"};
    for (int o = 0; o < 2; o++) {
        const struct training plain = {
            .bucket = 1 << 20, .momentum = 0.9, .optimizer = texts[o], .clip_norm = o};
        struct training one = plain, two = plain;
        two.wire = EXCHANGE_BF16;
        two.nodes = (struct ranks_nodes){{1, 1}};
        training_run(&one, 1);
        training_run(&two, 2);
        CU_ASSERT_TRUE(trainings_difference(&two, &one) > 0);
        CU_ASSERT_TRUE(trainings_difference(&two, &one) < 0.01 * trainings_size(&one));
        for (int ranks = 1; ranks <= 4; ranks++) {
            struct training many = plain;
            many.wire = EXCHANGE_BF16;
            many.nodes = (struct ranks_nodes){{ranks, ranks}};
            many.bucket = ranks % 2 == 1 ? 4096 : 260;
            many.chunk = ranks % 3;
            training_run(&many, 2 * ranks);
            CU_ASSERT_TRUE(trainings_equal(&many, 2 * ranks, &two));
            for (int r = 0; r < 2 * ranks; r++) {
                CU_ASSERT_TRUE(many.bytes_right[r]);
            }
            training_release(&many);
        }
        training_release(&two);
        training_release(&one);
    }
}

static void test_step__buckets_move_below_backward(void) {
    struct training training = {.bucket = 256, .momentum = 0.9};
    training_run(&training, 2);
    CU_ASSERT_TRUE(training.most_in_flight[0] >= 2 || training.most_in_flight[1] >= 2);
    training_release(&training);
}

static void assert_all_failed(const struct training *training, int ranks, status code,
    const char *start, const char *end, const float *untouched) {
    for (int r = 0; r < ranks; r++) {
        CU_ASSERT_EQUAL(training->result[r], code);
        CU_ASSERT_EQUAL(strncmp(training->message[r], start, strlen(start)), 0);
        CU_ASSERT_PTR_NOT_NULL(strstr(training->message[r], end));
        /* What was learned before is as it was. */
        CU_ASSERT_EQUAL(
            memcmp(training->weights[r], training->weights[0], training->size * sizeof(float)), 0);
        for (size_t i = 0; i < training->size; i++) {
            if (!isfinite(training->weights[r][i])) {
                CU_FAIL("weights are not finite");
                break;
            }
        }
    }
    CU_ASSERT_TRUE(untouched == NULL ||
                   memcmp(training->weights[0], untouched, training->size * sizeof(float)) == 0);
}

/* Picture 4 of 5 lies in leaf 4, which is rank 1's of 2 and rank 2's of 4. */
static void test_step__loss_that_is_not_finite_stops_all(void) {
    float *first = NULL;
    for (int chunk = 0; chunk <= 1; chunk++) {
        for (int ranks = 1; ranks <= 4; ranks *= 2) {
            struct training training = {
                .bucket = 4096, .chunk = chunk, .momentum = 0.9, .fault = FAULT_LOSS};
            char start[100];
            snprintf(start, sizeof start, "rank %d (thread%d): step 3: the loss is ", ranks / 2,
                ranks / 2);
            training_run(&training, ranks);
            assert_all_failed(&training, ranks, STATUS_NUMERIC, ranks > 1 ? start : "step 3: ",
                "first layer whose output is not finite: batchnorm1", first);
            if (first == NULL) {
                first = training.weights[0];
                training.weights[0] = NULL;
            }
            training_release(&training);
        }
    }
    free(first);
    struct training sync = {.bucket = 4096, .sync = true, .fault = FAULT_LOSS};
    training_run(&sync, 4);
    assert_all_failed(&sync, 4, STATUS_NUMERIC, "rank 0 (thread0): step 3: the loss is ",
        "a batch norm over the whole batch", NULL);
    training_release(&sync);
}

static void test_step__rank_that_cannot_read_stops_all(void) {
    for (int ranks = 2; ranks <= 5; ranks++) {
        struct training training = {
            .bucket = 64, .momentum = 0.9, .sync = ranks % 2 == 0, .fault = FAULT_READING};
        char start[100];
        snprintf(
            start, sizeof start, "rank %d (thread%d): shard 1 is damaged", ranks - 1, ranks - 1);
        training_run(&training, ranks);
        assert_all_failed(&training, ranks, STATUS_INPUT, start, "", NULL);
        training_release(&training);
    }
}

/* The first step by hand: one pass over one rank's pictures, and plain descent in double. */
static bool by_hand_run(struct transport *transport, void *context) {
    struct training *training = context;
    struct worker worker;
    bool good = worker_init(&worker, transport, training) == STATUS_OK;
    float *gradient[LEAVES] = {NULL}, *before = NULL;
    size_t size = good ? net_vector_size(worker.net) : 0;
    int leaf_start[LEAVES + 1];
    const struct subtree all = {0, LEAVES};
    for (int l = 0; l <= LEAVES; l++) {
        leaf_start[l] = (int)tree_leaf_start(BATCH, LEAVES, l);
    }
    good = good && MEMORY_ALLOCATE(&gradient[0], size) == STATUS_OK &&
           training_copy(&before, net_weights(worker.net), size) == STATUS_OK;
    if (good) {
        const struct pass pass = {.training = true,
            .seed = SEED,
            .pictures = BATCH,
            .leaves = LEAVES,
            .leaf_start = leaf_start,
            .subtrees = 1,
            .subtree = &all,
            .gradient = gradient};
        worker_read(&worker, transport, 0, BATCH, FAULT_NONE);
        net_forward(worker.net, &pass, worker.pixels, worker.targets);
        net_backward(worker.net, &pass, NULL);
        good = worker_step(&worker, transport, training, 0) == STATUS_OK;
    }
    size_t moved = 0;
    for (int p = 0; good && p < net_parameter_count(worker.net); p++) {
        const struct parameter *parameter = net_parameter(worker.net, p);
        for (size_t i = 0; i < parameter->packed && parameter->kind != PARAMETER_STATISTIC; i++) {
            size_t at = parameter->offset + i;
            double expected = (double)before[at] - 0.05 * (double)gradient[0][at] / BATCH;
            good = good && fabs(expected - (double)net_weights(worker.net)[at]) <= 1e-6;
            moved += before[at] != net_weights(worker.net)[at];
        }
    }
    free(before);
    free(gradient[0]);
    worker_release(&worker);
    return good && moved > 500;
}

static void test_step__update_is_descent_along_the_mean(void) {
    struct training training = {.bucket = 4096};
    CU_ASSERT_EQUAL(ranks_run(1, 0, by_hand_run, &training), 0);
}

static bool refuse_run(struct transport *transport, void *context) {
    (void)context;
    struct step *step;
    struct step_options options = {.leaves = LEAVES, .batch = 0, .bucket = 4};
    bool good = step_create(&step, NULL, NULL, transport, &options) == STATUS_USAGE;
    options.batch = BATCH;
    options.chunk = 3;
    good = good && step_create(&step, NULL, NULL, transport, &options) == STATUS_USAGE &&
           strstr(status_message(), "chunks of 3 leaves") != NULL;
    options.chunk = 0;
    options.leaves = 1;
    return good && step_create(&step, NULL, NULL, transport, &options) == STATUS_USAGE &&
           strstr(status_message(), "2 ranks for a batch of 1 leaves") != NULL;
}

static void test_step__refuses_what_cannot_be(void) {
    CU_ASSERT_EQUAL(ranks_run(2, 0, refuse_run, NULL), 0);
}

TEST_MAIN("step", TEST(test_step__weights_move_and_stay_finite),
    TEST(test_step__same_bits_for_any_ranks_chunks_and_buckets),
    TEST(test_step__same_bits_on_any_nodes),
    TEST(test_step__same_bits_with_statistics_of_the_whole_batch),
    TEST(test_step__the_whole_batch_cannot_be_in_chunks),
    TEST(test_step__waits_for_a_slow_rank_are_no_computing),
    TEST(test_step__ring_gives_other_weights), TEST(test_step__native_sums_train_alike),
    TEST(test_step__bf16_depends_on_nodes_alone), TEST(test_step__buckets_move_below_backward),
    TEST(test_step__loss_that_is_not_finite_stops_all),
    TEST(test_step__rank_that_cannot_read_stops_all),
    TEST(test_step__update_is_descent_along_the_mean), TEST(test_step__refuses_what_cannot_be))
