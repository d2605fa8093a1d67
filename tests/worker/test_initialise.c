/* First weights: their distribution, and that they depend on seed and parameter alone. */
#include "support/net_case.h"
#include "support/support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct moments {
    double mean, deviation, largest;
};

static const struct net_options options = {.pictures = 1, .leaves = 1, .leaf = 1, .threads = 2};

/* The first parameter of a net with one conv of 64 x 32 x 3 x 3, freshly initialised. */
static float *initialise(const char *initialise, uint64_t seed, int threads, size_t *count) {
    char text[512];
    snprintf(text, sizeof text,
        "input: {channels: 32, height: 4, width: 4}\n"
        "layers:\n  - conv: {out: 64, kernel: 3, initialise: %s}\n  - batchnorm:\n",
        initialise);
    struct document document;
    struct net *net;
    struct net_options o = options;
    o.threads = threads;
    document_init(&document);
    CU_ASSERT_EQUAL_FATAL(net_create(&net, net_case_parse(&document, text), &o), STATUS_OK);
    CU_ASSERT_EQUAL_FATAL(net_initialise(net, seed), STATUS_OK);
    float *standard = NULL;
    for (int p = 0; p < net_parameter_count(net); p++) {
        const struct parameter *parameter = net_parameter(net, p);
        float first = net_weights(net)[parameter->offset];
        if (strcmp(parameter->name, "conv1.weight") == 0) {
            *count = (size_t)parameter->elements;
            standard = malloc(*count * sizeof(float));
            parameter_unpack(standard, net_weights(net), parameter);
        } else if (strstr(parameter->name, "norm1.weight") || strstr(parameter->name, "_var")) {
            CU_ASSERT_EQUAL(first, 1.0f);
        } else {
            CU_ASSERT_EQUAL(first, 0.0f);
        }
    }
    net_destroy(net);
    document_release(&document);
    return standard;
}

static struct moments measure(const char *kind) {
    size_t count;
    float *values = initialise(kind, 5, 2, &count);
    struct moments m = {0, 0, 0};
    for (size_t i = 0; i < count; i++) {
        m.mean += (double)values[i] / (double)count;
        double size = fabs((double)values[i]);
        m.largest = size > m.largest ? size : m.largest;
    }
    for (size_t i = 0; i < count; i++) {
        double off = (double)values[i] - m.mean;
        m.deviation += off * off / (double)count;
    }
    m.deviation = sqrt(m.deviation);
    free(values);
    return m;
}

static void test_initialise__distributions_are_as_published(void) {
    const double in = 32 * 9, out = 64 * 9;
    const double he = sqrt(2 / in), xavier = sqrt(2 / (in + out));
    struct moments m = measure("he");
    CU_ASSERT_DOUBLE_EQUAL(m.mean, 0, he * 0.03);
    CU_ASSERT_DOUBLE_EQUAL(m.deviation, he, he * 0.03);
    CU_ASSERT_TRUE(m.largest > 3.2 * he && m.largest < 6 * he); /* normal */
    m = measure("{he: {distribution: uniform, fan: out}}");
    CU_ASSERT_DOUBLE_EQUAL(m.deviation, sqrt(2 / out), sqrt(2 / out) * 0.03);
    CU_ASSERT_TRUE(m.largest <= sqrt(6 / out)); /* uniform */
    m = measure("xavier");
    CU_ASSERT_DOUBLE_EQUAL(m.deviation, xavier, xavier * 0.03);
    CU_ASSERT_TRUE(m.largest <= sqrt(3) * xavier);
    m = measure("{normal: {deviation: 0.5, mean: 2}}");
    CU_ASSERT_DOUBLE_EQUAL(m.mean, 2, 0.02);
    CU_ASSERT_DOUBLE_EQUAL(m.deviation, 0.5, 0.02);
    m = measure("{uniform: {low: -1, high: 3}}");
    CU_ASSERT_DOUBLE_EQUAL(m.mean, 1, 0.05);
    CU_ASSERT_DOUBLE_EQUAL(m.largest, 3, 0.01);
    m = measure("{constant: 0.25}");
    CU_ASSERT_EQUAL(m.largest, 0.25);
    CU_ASSERT_DOUBLE_EQUAL(m.deviation, 0, 1e-9);
}

static void test_initialise__depends_on_the_seed_alone(void) {
    size_t count;
    float *one = initialise("he", 5, 1, &count), *two = initialise("he", 5, 3, &count);
    float *other = initialise("he", 6, 1, &count);
    CU_ASSERT_EQUAL(memcmp(one, two, count * sizeof(float)), 0);
    CU_ASSERT_NOT_EQUAL(memcmp(one, other, count * sizeof(float)), 0);
    free(one);
    free(two);
    free(other);
}

TEST_MAIN("initialise", TEST(test_initialise__distributions_are_as_published),
    TEST(test_initialise__depends_on_the_seed_alone))
