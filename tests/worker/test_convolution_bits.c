/* The same bits, on real numbers: whatever the instruction set, the number of threads and the cut
 * of the pictures into passes. And right: as near to double precision as float32 sums of such
 * length can be. */
#include "support/convolution_case.h"
#include "support/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SQUARE(c, hw, o, k, s, p)                                                                  \
    { {c, hw, hw}, o, k, k, s, s, p, p, 1, 1, 1 }

static const struct convolution_shape shapes[] = {
    SQUARE(1, 28, 6, 5, 1, 2),
    SQUARE(3, 33, 24, 7, 2, 3),
    SQUARE(64, 14, 64, 3, 1, 1),
    SQUARE(70, 7, 50, 3, 1, 1),
    SQUARE(160, 6, 33, 3, 1, 1),
    SQUARE(96, 7, 40, 1, 1, 0),
    SQUARE(32, 9, 48, 3, 2, 1),
    SQUARE(48, 5, 100, 5, 1, 0),
    SQUARE(200, 1, 70, 1, 1, 0),
    SQUARE(4, 36, 4, 3, 1, 1),
    {{32, 9, 9}, 48, 1, 7, 1, 1, 0, 3, 1, 1, 1},
    {{30, 9, 9}, 30, 3, 3, 1, 1, 2, 2, 2, 2, 3},
};

static uint64_t digest_of(struct convolution_case *c, enum cpu_isa isa, int threads) {
    case_run_engine(c, isa, ENGINE_CONVOY, threads);
    return case_digest(c);
}

static void check_bits(const struct convolution_shape *shape, int pictures, int leaves) {
    struct convolution_case c;
    case_init(&c, shape, pictures, leaves, CASE_REAL);
    uint64_t first = digest_of(&c, CPU_ISA_PORTABLE, 1);
    CPU_FOR_EACH_ISA (isa) {
        for (int threads = 1; threads <= 4; threads++) {
            CU_ASSERT_EQUAL(digest_of(&c, isa, threads), first);
        }
    }
    case_release(&c);
}

static void test_convolution_bits__do_not_depend_on_instruction_set_or_threads(void) {
    for (int i = 0; i < case_count((int)(sizeof shapes / sizeof shapes[0])); i++) {
        check_bits(&shapes[i], 5, 4);
        check_bits(&shapes[i], 6, 4); /* dealt out to two and three threads, and to two pairs */
    }
    for (int i = 0; i < case_count(60); i++) {
        struct convolution_shape shape = case_random_shape();
        check_bits(&shape, test_random_between(1, 6), 1 << test_random_between(0, 3));
    }
}

/* The digest must be able to tell: another order of the pictures in a leaf is another sum. */
static void test_convolution_bits__are_told_apart_by_the_digest(void) {
    struct convolution_case c;
    case_init(&c, &shapes[2], 3, 1, CASE_REAL);
    uint64_t before = digest_of(&c, CPU_ISA_PORTABLE, 1);
    size_t input = c.input_count / 3, output = c.output_count / 3;
    for (size_t i = 0; i < input; i++) {
        float keep = c.input[i];
        c.input[i] = c.input[i + input];
        c.input[i + input] = c.input[i + 2 * input];
        c.input[i + 2 * input] = keep;
    }
    for (size_t i = 0; i < output; i++) {
        float keep = c.output_gradient[i];
        c.output_gradient[i] = c.output_gradient[i + output];
        c.output_gradient[i + output] = c.output_gradient[i + 2 * output];
        c.output_gradient[i + 2 * output] = keep;
    }
    float *old = malloc(c.weights_count * sizeof(float));
    memcpy(old, c.weights_gradient[0], c.weights_count * sizeof(float));
    CU_ASSERT_NOT_EQUAL(digest_of(&c, CPU_ISA_PORTABLE, 1), before);
    CU_ASSERT_NOT_EQUAL(memcmp(old, c.weights_gradient[0], c.weights_count * sizeof(float)), 0);
    free(old);
    case_release(&c);
}

/* A pass of 8 leaves against two of 4, whose sums are added by hand; the last leaves are empty. */
static void check_cut(const struct convolution_shape *shape, int pictures) {
    enum cpu_isa isa;
    CU_ASSERT_EQUAL_FATAL(cpu_isa_choose(&isa), STATUS_OK);
    struct convolution_case whole;
    case_init(&whole, shape, pictures, 8, CASE_REAL);
    case_run_engine(&whole, isa, ENGINE_CONVOY, 2);
    case_assert_halves_equal(&whole, isa);
    case_release(&whole);
}

static void test_convolution_bits__do_not_depend_on_the_cut_into_passes(void) {
    for (int i = 0; i < case_count((int)(sizeof shapes / sizeof shapes[0])); i++) {
        check_cut(&shapes[i], 4); /* the second half is empty */
        check_cut(&shapes[i], 11);
    }
}

/* The worst of thousands of sums, in units of their root mean square. */
static void test_convolution_bits__stay_near_double_precision(void) {
    for (int i = 0; i < case_count((int)(sizeof shapes / sizeof shapes[0])); i++) {
        struct convolution_case c;
        case_init(&c, &shapes[i], 5, 4, CASE_REAL);
        case_run_reference(&c);
        case_run_engine(&c, CPU_ISA_PORTABLE, ENGINE_CONVOY, 1);
        case_assert_equal(&c, 8e-6, "near double");
        case_run_engine(&c, CPU_ISA_PORTABLE, ENGINE_BLAS, 1);
        case_assert_equal(&c, 2e-5, "near double, blas");
        case_release(&c);
    }
}

TEST_MAIN("convolution_bits",
    TEST(test_convolution_bits__do_not_depend_on_instruction_set_or_threads),
    TEST(test_convolution_bits__are_told_apart_by_the_digest),
    TEST(test_convolution_bits__do_not_depend_on_the_cut_into_passes),
    TEST(test_convolution_bits__stay_near_double_precision))
