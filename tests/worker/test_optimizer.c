/* Updates against the textbook in double, and the same bits however a vector is cut. */
#include "support/models.h"
#include "support/net_case.h"
#include "support/support.h"
#include "worker/optimizer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct update_case {
    double momentum, weight_decay;
    bool nesterov, decay_bias, decay_norm;
};

static const struct net_case_options pass_options = {.pictures = 8, .leaves = 2, .threads = 1};

static void choose(struct choice *choice, struct pool *pool, struct document *document,
    const struct update_case *u) {
    char text[256];
    snprintf(text, sizeof text,
        "sgd: {momentum: %g, weight_decay: %g, nesterov: %s, decay_bias: %s, decay_norm: %s}",
        u->momentum, u->weight_decay, u->nesterov ? "true" : "false",
        u->decay_bias ? "true" : "false", u->decay_norm ? "true" : "false");
    status result =
        options_parse_choice(choice, optimizers, net_case_parse(document, text), "optimizer", pool);
    CU_ASSERT_EQUAL_FATAL(result, STATUS_OK);
}

static bool decays(const struct update_case *u, enum parameter_kind kind) {
    return (kind != PARAMETER_BIAS || u->decay_bias) && (kind != PARAMETER_NORM || u->decay_norm);
}

/* As PyTorch's documentation has it. */
static void update_reference(double *weights, double *velocity, const float *gradient,
    const struct net *net, const struct update_case *u, const struct optimizer_step *step) {
    for (int p = 0; p < net_parameter_count(net); p++) {
        const struct parameter *parameter = net_parameter(net, p);
        for (size_t i = parameter->offset; i < parameter->offset + parameter->packed; i++) {
            double g = (double)gradient[i] / (double)step->pictures;
            if (parameter->kind == PARAMETER_STATISTIC) {
                weights[i] = (1 - parameter->momentum) * weights[i] + parameter->momentum * g;
                continue;
            }
            g += (decays(u, parameter->kind) ? u->weight_decay : 0) * weights[i];
            velocity[i] = u->momentum * velocity[i] + g;
            weights[i] -= step->rate * (u->nesterov ? g + u->momentum * velocity[i] : velocity[i]);
        }
    }
}

static void test_optimizer__sgd_equals_the_textbook(void) {
    static const struct update_case updates[] = {{0, 0, false, true, true},
        {0.9, 0.01, false, true, true}, {0.9, 0.01, true, true, true},
        {0.5, 0.1, false, false, true}, {0.5, 0.1, true, true, false}};
    for (int k = 0; k < 5; k++) {
        struct net_case c;
        struct choice choice;
        struct document document;
        struct optimizer *optimizer;
        document_init(&document);
        net_case_init(&c, MODEL_RESIDUAL, &pass_options);
        choose(&choice, &c.pool, &document, &updates[k]);
        CU_ASSERT_EQUAL_FATAL(optimizer_create(&optimizer, c.net, &choice, 2), STATUS_OK);
        size_t size = net_vector_size(c.net);
        double *weights = calloc(size, sizeof(double)), *velocity = calloc(size, sizeof(double));
        for (size_t i = 0; i < size; i++) {
            weights[i] = (double)net_weights(c.net)[i];
        }
        for (int n = 0; n < 3; n++) {
            const struct optimizer_step step = {.rate = 0.05, .pictures = 8, .step = n};
            net_case_run(&c);
            update_reference(weights, velocity, c.gradient[0], c.net, &updates[k], &step);
            optimizer_update(optimizer, c.gradient[0], 0, size, &step);
        }
        double error = 0;
        for (size_t i = 0; i < size; i++) {
            double off = fabs((double)net_weights(c.net)[i] - weights[i]);
            error = off > error || isnan(off) ? off : error;
        }
        CU_ASSERT_TRUE(error < 1e-5);
        for (int i = 0; i < NET_METRICS; i++) { /* no parameter: never touched */
            CU_ASSERT_EQUAL(net_weights(c.net)[i], 0.0f);
        }
        free(weights);
        free(velocity);
        optimizer_destroy(optimizer);
        net_case_release(&c);
        document_release(&document);
    }
}

/* Two nets; one vector updated whole, the other in random pieces, with other threads. */
static void test_optimizer__cuts_change_no_bit(void) {
    static const struct update_case update = {0.9, 0.01, true, true, false};
    struct net_case whole, cut;
    struct choice choice;
    struct document document;
    struct optimizer *one, *other;
    document_init(&document);
    net_case_init(&whole, MODEL_RESIDUAL, &pass_options);
    net_case_init(&cut, MODEL_RESIDUAL, &pass_options);
    net_case_copy(&cut, &whole);
    choose(&choice, &whole.pool, &document, &update);
    CU_ASSERT_EQUAL_FATAL(optimizer_create(&one, whole.net, &choice, 1), STATUS_OK);
    CU_ASSERT_EQUAL_FATAL(optimizer_create(&other, cut.net, &choice, 3), STATUS_OK);
    net_case_run(&whole);
    size_t size = net_vector_size(whole.net);
    for (int n = 0; n < 2; n++) {
        const struct optimizer_step step = {.rate = 0.1, .pictures = 8, .step = n};
        optimizer_update(one, whole.gradient[0], 0, size, &step);
        for (size_t from = 0; from < size;) {
            size_t to = from + (size_t)test_random_between(1, 300);
            to = to < size ? to : size;
            optimizer_update(other, whole.gradient[0], from, to, &step);
            from = to;
        }
    }
    CU_ASSERT_EQUAL(memcmp(net_weights(whole.net), net_weights(cut.net), size * sizeof(float)), 0);
    CU_ASSERT_EQUAL(
        memcmp(optimizer_vector(one, 0), optimizer_vector(other, 0), size * sizeof(float)), 0);
    CU_ASSERT_EQUAL(optimizer_vector_count(one), 1);
    CU_ASSERT_STRING_EQUAL(optimizer_vector_name(one, 0), "momentum");
    optimizer_destroy(one);
    optimizer_destroy(other);
    net_case_release(&whole);
    net_case_release(&cut);
    document_release(&document);
}

TEST_MAIN("optimizer", TEST(test_optimizer__sgd_equals_the_textbook),
    TEST(test_optimizer__cuts_change_no_bit))
