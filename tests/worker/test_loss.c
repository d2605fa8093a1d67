/* cross_entropy against the formula in long double, by differences, and its ranks. */
#include "support/net_case.h"
#include "support/support.h"
#include "worker/loss.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

struct loss_case {
    struct document document;
    struct pool pool;
    struct choice choice;
    struct tensor output, gradient;
    int classes, pictures;
    float *planar;
    struct target *targets;
    float loss[8], correct[8], correct_5[8];
};

static void init(struct loss_case *c, int classes, int pictures, double smoothing) {
    char text[64];
    snprintf(text, sizeof text, "cross_entropy: {smoothing: %g}", smoothing);
    document_init(&c->document);
    pool_init(&c->pool);
    const struct node *node = net_case_parse(&c->document, text);
    CU_ASSERT_EQUAL_FATAL(
        options_parse_choice(&c->choice, losses, node, "loss", &c->pool), STATUS_OK);
    c->classes = classes;
    c->pictures = pictures;
    struct tensor *tensors[] = {&c->output, &c->gradient};
    for (int t = 0; t < 2; t++) {
        tensor_init(tensors[t], (struct shape){classes, 1, 1}, t, t, pictures);
        tensor_place(tensors[t], aligned_alloc(64, tensor_bytes(tensors[t])));
    }
    tensor_clear_border(&c->gradient, 0, pictures);
    c->planar = calloc((size_t)(classes * pictures), sizeof(float));
    c->targets = calloc((size_t)pictures, sizeof *c->targets);
    for (int i = 0; i < classes * pictures; i++) {
        c->planar[i] = 3.0f * net_case_normal();
    }
    for (int n = 0; n < pictures; n++) {
        c->targets[n] = (struct target){TARGET_CLASS, test_random_between(0, classes - 1)};
    }
}

static void release(struct loss_case *c) {
    struct tensor *tensors[] = {&c->output, &c->gradient};
    for (int t = 0; t < 2; t++) {
        free(tensors[t]->data - t * tensors[t]->row_stride - t * CHANNEL_BLOCK);
    }
    free(c->planar);
    free(c->targets);
    pool_release(&c->pool);
    document_release(&c->document);
}

static void run(struct loss_case *c) {
    const struct loss_operations *loss = (const struct loss_operations *)c->choice.kind;
    tensor_load_planar(&c->output, c->planar, c->pictures);
    loss->run(c->loss, c->correct, c->correct_5, &c->gradient, &c->output, c->targets, c->pictures,
        c->choice.values);
}

static long double expected(const struct loss_case *c, int n, double smoothing) {
    const float *x = c->planar + n * c->classes;
    long double sum = 0, loss = 0;
    for (int k = 0; k < c->classes; k++) {
        sum += expl((long double)x[k]);
    }
    for (int k = 0; k < c->classes; k++) {
        long double target = (long double)smoothing / c->classes;
        target += k == c->targets[n].class_number ? 1 - (long double)smoothing : 0;
        loss -= target * ((long double)x[k] - logl(sum));
    }
    return loss;
}

static void test_loss__cross_entropy_equals_the_formula(void) {
    static const int classes[] = {2, 10, 37};
    for (int k = 0; k < 6; k++) {
        struct loss_case c;
        double smoothing = k % 2 == 0 ? 0 : 0.1;
        init(&c, classes[k / 2], 8, smoothing);
        run(&c);
        for (int n = 0; n < 8; n++) {
            CU_ASSERT_DOUBLE_EQUAL((double)c.loss[n], (double)expected(&c, n, smoothing), 1e-5);
        }
        release(&c);
    }
}

static void test_loss__gradient_is_the_derivative(void) {
    struct loss_case c;
    init(&c, 19, 3, 0.2);
    run(&c);
    float *planar = calloc(3 * 19, sizeof(float));
    tensor_store_planar(planar, &c.gradient, 3);
    for (int i = 0; i < 3 * 19; i++) {
        float kept = c.planar[i];
        c.planar[i] = kept + 0.01f;
        long double above = expected(&c, i / 19, 0.2);
        long double way = (long double)c.planar[i];
        c.planar[i] = kept - 0.01f;
        above -= expected(&c, i / 19, 0.2);
        way -= (long double)c.planar[i];
        c.planar[i] = kept;
        CU_ASSERT_DOUBLE_EQUAL((double)planar[i], (double)(above / way), 1e-4);
    }
    for (int n = 0; n < 3; n++) { /* the border and the padding lanes */
        for (int l = 0; l < CHANNEL_BLOCK; l++) {
            CU_ASSERT_EQUAL(tensor_at(&c.gradient, n, 0, -1, 0)[l], 0.0f);
            CU_ASSERT_TRUE(l < 3 || tensor_at(&c.gradient, n, 1, 0, 0)[l] == 0.0f);
        }
    }
    free(planar);
    release(&c);
}

static void test_loss__does_not_overflow(void) {
    struct loss_case c;
    init(&c, 10, 1, 0);
    c.planar[3] = 3e38f;
    c.planar[4] = -3e38f;
    c.targets[0].class_number = 3;
    run(&c);
    CU_ASSERT_EQUAL(c.loss[0], 0.0f);
    c.targets[0].class_number = 11; /* no class of this net */
    run(&c);
    CU_ASSERT_TRUE(isnan(c.loss[0]));
    CU_ASSERT_EQUAL(c.correct_5[0], 0.0f);
    release(&c);
}

static void test_loss__ties_go_to_the_lower_class(void) {
    struct loss_case c;
    init(&c, 10, 1, 0);
    for (int k = 0; k < 10; k++) {
        c.planar[k] = 1.0f;
    }
    for (int k = 0; k < 10; k++) {
        c.targets[0].class_number = k;
        run(&c);
        CU_ASSERT_EQUAL(c.correct[0], k == 0 ? 1.0f : 0.0f);
        CU_ASSERT_EQUAL(c.correct_5[0], k < 5 ? 1.0f : 0.0f);
    }
    release(&c);
}

TEST_MAIN("loss", TEST(test_loss__cross_entropy_equals_the_formula),
    TEST(test_loss__gradient_is_the_derivative), TEST(test_loss__does_not_overflow),
    TEST(test_loss__ties_go_to_the_lower_class))
