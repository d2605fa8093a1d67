/* Every loss against its formula in long double, by differences, and the ranks. */
#include "support/net_case.h"
#include "support/support.h"
#include "worker/loss.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

static void init(struct loss_case *c, const char *text, int classes, int pictures) {
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

/* The losses by their definitions; `number` and `flag` are those of the case. */
typedef long double (*formula)(
    const float *x, int classes, int class_number, double number, bool flag);

static long double cross_entropy(
    const float *x, int classes, int class_number, double smoothing, bool flag) {
    long double sum = 0, loss = 0;
    (void)flag;
    for (int k = 0; k < classes; k++) {
        sum += expl((long double)x[k]);
    }
    for (int k = 0; k < classes; k++) {
        long double target = (long double)smoothing / classes;
        target += k == class_number ? 1 - (long double)smoothing : 0;
        loss -= target * ((long double)x[k] - logl(sum));
    }
    return loss;
}

static long double squared_error(
    const float *x, int classes, int class_number, double other, bool flag) {
    long double sum = 0;
    (void)flag;
    for (int k = 0; k < classes; k++) {
        sum += powl((long double)x[k] - (k == class_number ? 1 : (long double)other), 2);
    }
    return sum / classes;
}

static long double hinge(
    const float *x, int classes, int class_number, double margin, bool squared) {
    long double sum = 0;
    for (int k = 0; k < classes; k++) {
        long double score = k == class_number ? (long double)x[k] : -(long double)x[k];
        long double missing = fmaxl(0, (long double)margin - score);
        sum += squared ? missing * missing : missing;
    }
    return sum;
}

static long double lenet5(const float *x, int classes, int class_number, double j, bool flag) {
    long double sum = expl(-(long double)j);
    (void)flag;
    for (int k = 0; k < classes; k++) {
        sum += expl((long double)x[k]);
    }
    return -(long double)x[class_number] + logl(sum);
}

static const struct {
    const char *loss;
    formula formula;
    double number;
    bool flag;
} cases[] = {
    {"cross_entropy", cross_entropy, 0, false},
    {"cross_entropy: {smoothing: 0.2}", cross_entropy, 0.2, false},
    {"mean_squared_error", squared_error, 0, false},
    {"mean_squared_error: {other: -1}", squared_error, -1, false},
    {"hinge", hinge, 1, false},
    {"hinge: {margin: 2, squared: true}", hinge, 2, true},
    {"lenet5", lenet5, 0.1, false},
    {"lenet5: {j: 3}", lenet5, 3, false},
};
#define CASES (int)(sizeof cases / sizeof cases[0])

static long double expected(const struct loss_case *c, int number, int n) {
    return cases[number].formula(c->planar + n * c->classes, c->classes, c->targets[n].class_number,
        cases[number].number, cases[number].flag);
}

static void test_loss__all_have_a_case(void) {
    for (int k = 0; losses[k] != NULL; k++) {
        bool found = false;
        for (int i = 0; i < CASES; i++) {
            found = found || strncmp(cases[i].loss, losses[k]->name, strlen(losses[k]->name)) == 0;
        }
        CU_ASSERT_TRUE(found);
    }
}

static void test_loss__equals_the_formula(void) {
    static const int classes[] = {2, 10, 37};
    for (int k = 0; k < 3 * CASES; k++) {
        struct loss_case c;
        init(&c, cases[k / 3].loss, classes[k % 3], 8);
        run(&c);
        for (int n = 0; n < 8; n++) {
            double should = (double)expected(&c, k / 3, n);
            CU_ASSERT_DOUBLE_EQUAL((double)c.loss[n], should, 1e-5 * (1 + fabs(should)));
        }
        release(&c);
    }
}

static void compare_differences(int number) {
    struct loss_case c;
    init(&c, cases[number].loss, 19, 3);
    run(&c);
    float *planar = calloc(3 * 19, sizeof(float));
    tensor_store_planar(planar, &c.gradient, 3);
    for (int i = 0; i < 3 * 19; i++) {
        float kept = c.planar[i];
        c.planar[i] = kept + 0.01f;
        long double above = expected(&c, number, i / 19);
        long double way = (long double)c.planar[i];
        c.planar[i] = kept - 0.01f;
        above -= expected(&c, number, i / 19);
        way -= (long double)c.planar[i];
        c.planar[i] = kept;
        double slope = (double)(above / way), corner = fabs(fabs((double)kept) - 1);
        if (cases[number].formula != hinge || corner > 0.02) { /* no slope at the corner */
            CU_ASSERT_DOUBLE_EQUAL((double)planar[i], slope, 1e-4 * (1 + fabs(slope)));
        }
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

static void test_loss__gradient_is_the_derivative(void) {
    for (int k = 0; k < CASES; k++) {
        compare_differences(k);
    }
}

static void test_loss__of_an_unknown_class_is_no_number(void) {
    for (int k = 0; k < CASES; k++) {
        struct loss_case c;
        init(&c, cases[k].loss, 3, 1);
        c.targets[0].class_number = 3;
        run(&c);
        CU_ASSERT_TRUE(isnan(c.loss[0]));
        CU_ASSERT_EQUAL(c.correct[0], 0.0f);
        CU_ASSERT_EQUAL(c.correct_5[0], 0.0f);
        release(&c);
    }
}

static void test_loss__does_not_overflow(void) {
    struct loss_case c;
    init(&c, "cross_entropy", 10, 1);
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
    init(&c, "cross_entropy", 10, 1);
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

TEST_MAIN("loss", TEST(test_loss__all_have_a_case), TEST(test_loss__equals_the_formula),
    TEST(test_loss__of_an_unknown_class_is_no_number), TEST(test_loss__gradient_is_the_derivative),
    TEST(test_loss__does_not_overflow), TEST(test_loss__ties_go_to_the_lower_class))
