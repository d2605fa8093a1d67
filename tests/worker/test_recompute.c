/* What is made again for backward and not kept: no bit changes, nothing is read that is no longer
 * there, and memory shrinks. */
#include "base/memory.h"
#include "support/models.h"
#include "support/net_case.h"
#include "support/support.h"
#include "worker/recompute.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char *const models[] = MODELS_OF_EVERYTHING;
#define MODELS (int)(sizeof models / sizeof models[0])

static const struct net_case_options plain = {.pictures = 21, .leaves = 8, .threads = 1};

/* Cuts the net of a case into so many segments, whatever would be best. Returns how many layers run
 * again. */
static int replan(struct net_case *c, enum recompute recompute, int segments) {
    struct net *net = c->net;
    const struct memory_plan_options options = {
        .pictures = net->options.pictures, .training = true};
    arena_release(&net->arena);
    CU_ASSERT_EQUAL(recompute_plan(&net->graph, recompute, segments, &net->graph.pool), STATUS_OK);
    CU_ASSERT_EQUAL(
        memory_plan_create(&net->plan, &net->graph, &options, &net->graph.pool), STATUS_OK);
    CU_ASSERT_EQUAL(arena_init(&net->arena, net->plan.total, 1), STATUS_OK);
    memset(net->arena.base, 0xff, net->arena.size);
    net_place(net);
    int again = 0;
    for (int i = 0; i < net->graph.layers; i++) {
        again += net->graph.layer[i]->again;
    }
    return again;
}

static bool same_gradient(const struct net_case *a, const struct net_case *b) {
    size_t size = net_vector_size(a->net) * sizeof(float);
    return memcmp(a->gradient[0], b->gradient[0], size) == 0;
}

static void compare(const char *model, enum recompute recompute) {
    struct net_case kept, again;
    net_case_init(&kept, model, &plain);
    net_case_init(&again, model, &plain);
    net_case_copy(&again, &kept);
    net_case_run(&kept);
    int limit = recompute_limit(&again.net->graph), most = 0;
    CU_ASSERT_TRUE(limit > 3);
    again.net->poison = true;
    for (int segments = 1; segments <= limit; segments++) {
        int runs = replan(&again, recompute, segments);
        most = runs > most ? runs : most;
        CU_ASSERT_TRUE(segments > 1 || runs == 0);
        for (int time = 0; time < 2; time++) { /* what the first pass left must not matter */
            again.gradient[0][NET_METRICS] = NAN;
            net_case_run(&again);
            CU_ASSERT_TRUE(same_gradient(&kept, &again));
        }
    }
    CU_ASSERT_TRUE(most > 0);
    net_case_release(&kept);
    net_case_release(&again);
}

static void test_recompute__gives_the_same_bits_for_any_cut(void) {
    for (int m = 0; m < MODELS; m++) {
        compare(models[m], RECOMPUTE_CHEAP);
        compare(models[m], RECOMPUTE_ALL);
    }
}

/* Evaluation, and the search for what is not finite, with a net that makes values twice. */
static void test_recompute__evaluates_alike(void) {
    struct net_case kept, again;
    net_case_init(&kept, MODEL_RESIDUAL, &plain);
    net_case_init(&again, MODEL_RESIDUAL, &plain);
    net_case_copy(&again, &kept);
    CU_ASSERT_TRUE(replan(&again, RECOMPUTE_ALL, 4) > 0);
    kept.pass.training = again.pass.training = false;
    net_case_run(&kept);
    net_case_run(&again);
    float a[21 * 7], b[21 * 7];
    net_output(a, kept.net, 21);
    net_output(b, again.net, 21);
    CU_ASSERT_EQUAL(memcmp(a, b, sizeof a), 0);
    CU_ASSERT_PTR_NULL(net_find_not_finite(again.net, &again.pass, again.pixels, again.targets));
    again.pixels[5] = NAN;
    const char *layer = net_find_not_finite(again.net, &again.pass, again.pixels, again.targets);
    CU_ASSERT_PTR_NOT_NULL_FATAL(layer);
    CU_ASSERT_STRING_EQUAL(layer, "input");
    net_case_release(&kept);
    net_case_release(&again);
}

/* Convolutions run once where only the cheap is made again. */
static void test_recompute__leaves_out_what_is_expensive(void) {
    struct net_case c;
    net_case_init(&c, MODEL_RESIDUAL, &plain);
    CU_ASSERT_TRUE(replan(&c, RECOMPUTE_CHEAP, 5) > 0);
    for (int i = 0; i < c.net->graph.layers; i++) {
        const struct layer *layer = c.net->graph.layer[i];
        CU_ASSERT_FALSE(layer->again && layer->convolution != NULL);
    }
    net_case_release(&c);
}

#define MODEL_SYNC                                                                                 \
    "batchnorm: {sync: true}\n"                                                                    \
    "input: {channels: 3, height: 9, width: 8}\n"                                                  \
    "layers:\n"                                                                                    \
    "  - basic_block: {width: 18, repeat: 3}\n"                                                    \
    "  - linear: {out: 7}\n"

/* What all ranks do together is done once: they may have cut their nets at other places. */
static void test_recompute__never_sums_over_the_batch_again(void) {
    struct net_case c;
    net_case_init(&c, MODEL_SYNC, &plain);
    for (int segments = 2; segments <= recompute_limit(&c.net->graph); segments++) {
        replan(&c, RECOMPUTE_ALL, segments);
        for (int i = 0; i < c.net->graph.layers; i++) {
            const struct layer *layer = c.net->graph.layer[i];
            CU_ASSERT_FALSE(layer->again && layer->batch_sums > 0);
        }
    }
    net_case_release(&c);
    compare(MODEL_SYNC, RECOMPUTE_ALL);
}

#define BLOCK                                                                                      \
    "  - residual: {body: [{conv: {out: 16, kernel: 3, pad: 1}}, {batchnorm: {}}, {relu: {}}, "    \
    "{conv: {out: 16, kernel: 3, pad: 1}}, {batchnorm: {}}]}\n"                                    \
    "  - relu:\n"
#define BLOCKS BLOCK BLOCK BLOCK BLOCK
#define MODEL_DEEP                                                                                 \
    "input: {channels: 16, height: 8, width: 8}\n"                                                 \
    "layers:\n" BLOCKS BLOCKS BLOCKS BLOCKS "  - linear: {out: 10}\n"

/* 16 alike blocks: kept whole, with what is cheap made again, and with memory of the order of the
 * root of the depth. */
static void test_recompute__needs_less_memory(void) {
    size_t bytes[3];
    for (int recompute = RECOMPUTE_OFF; recompute <= RECOMPUTE_ALL; recompute++) {
        struct net_case c;
        struct net_case_options options = plain;
        options.recompute = (enum recompute)recompute;
        net_case_init(&c, MODEL_DEEP, &options);
        bytes[recompute] = net_memory_report(c.net).activations;
        net_case_release(&c);
    }
    CU_ASSERT_TRUE(bytes[RECOMPUTE_CHEAP] < bytes[RECOMPUTE_OFF] * 7 / 10);
    CU_ASSERT_TRUE(bytes[RECOMPUTE_ALL] < bytes[RECOMPUTE_OFF] * 4 / 10);
}

TEST_MAIN("recompute", TEST(test_recompute__gives_the_same_bits_for_any_cut),
    TEST(test_recompute__evaluates_alike), TEST(test_recompute__leaves_out_what_is_expensive),
    TEST(test_recompute__never_sums_over_the_batch_again), TEST(test_recompute__needs_less_memory))
