/* Winograd convolutions: exact on whole numbers that are multiples of what the transforms divide
 * by, the same bits for every instruction set, number of threads and cut into passes, and nearly as
 * right as the direct kernels. The machinery (guards, scratch full of not-a-number, padding lanes)
 * is that of the direct ones. */
#include "support/convolution_case.h"
#include "support/support.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define SQUARE_OF(k, c, hw, o, p)                                                                  \
    { {c, hw, hw}, o, k, k, 1, 1, p, p, 1, 1, 1 }
#define SQUARE(c, hw, o, p) SQUARE_OF(3, c, hw, o, p)

/* Maps of the networks, and odd ones; channels that are no multiple of 16 or 32. */
static const struct convolution_shape shapes[] = {
    SQUARE(16, 4, 16, 1),
    SQUARE_OF(5, 32, 7, 48, 2),
    SQUARE(32, 7, 48, 1),
    SQUARE(40, 13, 50, 1),
    SQUARE(64, 14, 64, 1),
    SQUARE(20, 27, 33, 1),
    SQUARE(16, 28, 16, 1),
    SQUARE(3, 55, 16, 1),
    SQUARE(16, 56, 8, 1),
    SQUARE(17, 1, 5, 1),
    SQUARE(16, 3, 16, 0),
    SQUARE(24, 6, 16, 0),
    SQUARE(16, 5, 40, 2),
    {{16, 2, 90}, 16, 3, 3, 1, 1, 1, 1, 1, 1, 1},
    {{20, 41, 9}, 36, 3, 3, 1, 1, 0, 2, 1, 1, 1},
    {{64, 9, 9}, 32, 3, 3, 1, 1, 1, 1, 1, 1, 2},
    {{64, 7, 7}, 192, 3, 3, 1, 1, 1, 1, 1, 1, 2},
    SQUARE_OF(5, 64, 27, 64, 2),
    SQUARE_OF(5, 40, 14, 50, 2),
    SQUARE_OF(5, 16, 5, 16, 0),
    SQUARE_OF(5, 3, 20, 17, 4),
    SQUARE_OF(5, 17, 1, 5, 2),
    {{20, 9, 41}, 36, 5, 5, 1, 1, 3, 1, 1, 1, 1},
    {{64, 13, 13}, 32, 5, 5, 1, 1, 2, 2, 1, 1, 2},
};
#define SHAPES (int)(sizeof shapes / sizeof shapes[0])

static struct convolution_shape random_shape(void) {
    int kernel = test_random_between(0, 1) == 0 ? 3 : 5;
    return (struct convolution_shape){
        .input = {test_random_between(1, 50), test_random_between(kernel, 30),
            test_random_between(kernel, 30)},
        .output_channels = test_random_between(1, 50),
        .kernel_height = kernel,
        .kernel_width = kernel,
        .stride_height = 1,
        .stride_width = 1,
        .pad_height = test_random_between(0, kernel - 1),
        .pad_width = test_random_between(0, kernel - 1),
        .dilation_height = 1,
        .dilation_width = 1,
        .groups = 1,
    };
}

/* Kernels of 5x5 have tiles of 2x2 alone. */
static enum engine_winograd last_form(const struct convolution_shape *shape) {
    return shape->kernel_height == 5 ? WINOGRAD_2X2 : WINOGRAD_4X4;
}

#define FOR_EACH_FORM(form, shape)                                                                 \
    for (enum engine_winograd form = WINOGRAD_2X2; form <= last_form(shape); form++)

static void init(struct convolution_case *c, const struct convolution_shape *shape, int pictures,
    int leaves, enum case_values values, enum engine_winograd form) {
    case_init(c, shape, pictures, leaves, values);
    c->winograd = form;
}

static void run(struct convolution_case *c, enum cpu_isa isa, int threads) {
    case_run_engine(c, isa, ENGINE_CONVOY, threads);
    CU_ASSERT(c->was_winograd);
}

static void check_exact_form(const struct convolution_shape *shape, int pictures, int leaves,
    int limit, enum engine_winograd form) {
    struct convolution_case c;
    init(&c, shape, pictures, leaves, CASE_WINOGRAD, form);
    case_cut(&c, limit);
    case_run_reference(&c);
    CPU_FOR_EACH_ISA (isa) {
        for (int threads = 1; threads <= 2; threads++) {
            char what[64];
            snprintf(what, sizeof what, "%s, %s, %d threads", form == WINOGRAD_2X2 ? "2x2" : "4x4",
                cpu_isa_name(isa), threads);
            run(&c, isa, threads);
            case_assert_equal(&c, 0.0, what);
        }
    }
    case_release(&c);
}

static void check_exact(
    const struct convolution_shape *shape, int pictures, int leaves, int limit) {
    FOR_EACH_FORM(form, shape) {
        check_exact_form(shape, pictures, leaves, limit, form);
    }
}

static void test_winograd__is_exact_on_multiples_of_its_divisors(void) {
    for (int i = 0; i < case_count(SHAPES); i++) {
        check_exact(&shapes[i], 3, 2, 0);
    }
    for (int i = 0; i < case_count(25); i++) {
        struct convolution_shape shape = random_shape();
        int leaves = 1 << test_random_between(0, 3);
        check_exact(&shape, test_random_between(1, 5), leaves, 1 << test_random_between(0, 3));
    }
}

static void test_winograd__is_exact_with_many_pictures_and_empty_leaves(void) {
    struct convolution_shape small = SQUARE(16, 5, 16, 1);
    check_exact(&small, 130, 2, 0); /* leaves of three chains */
    for (int pictures = 0; pictures < 4; pictures++) {
        check_exact(&small, pictures, 8, 2);
        check_exact(&small, pictures, 4, 0);
    }
}

static uint64_t digest_of(struct convolution_case *c, enum cpu_isa isa, int threads) {
    run(c, isa, threads);
    return case_digest(c);
}

static void check_same_bits(const struct convolution_shape *shape, enum engine_winograd form) {
    struct convolution_case c;
    init(&c, shape, 5, 4, CASE_REAL, form);
    uint64_t first = digest_of(&c, CPU_ISA_PORTABLE, 1);
    CPU_FOR_EACH_ISA (isa) {
        for (int threads = 1; threads <= 3; threads++) {
            CU_ASSERT_EQUAL(digest_of(&c, isa, threads), first);
        }
    }
    case_release(&c);
}

static void test_winograd__has_the_same_bits_on_every_instruction_set_and_thread_count(void) {
    for (int i = 0; i < case_count(SHAPES + 10); i++) {
        struct convolution_shape shape = i < SHAPES ? shapes[i] : random_shape();
        FOR_EACH_FORM(form, &shape) {
            check_same_bits(&shape, form);
        }
    }
}

/* A pass of 8 leaves against two of 4, whose sums are added by hand. */
static void check_cut(
    const struct convolution_shape *shape, int pictures, enum engine_winograd form) {
    struct convolution_case whole;
    init(&whole, shape, pictures, 8, CASE_REAL, form);
    run(&whole, CPU_ISA_PORTABLE, 2);
    case_assert_halves_equal(&whole, CPU_ISA_PORTABLE);
    case_release(&whole);
}

static void test_winograd__has_the_same_bits_however_pictures_are_cut_into_passes(void) {
    for (int i = 0; i < case_count(SHAPES); i++) {
        FOR_EACH_FORM(form, &shapes[i]) {
            check_cut(&shapes[i], 4, form);
            check_cut(&shapes[i], 11, form);
        }
    }
}

/* Winograd's rounding is larger: at most ten times the direct kernels' against double. The few
 * products of the smallest shapes are summed almost exactly by those: such an error counts as one
 * spacing of floats. */
static void check_error(
    const struct convolution_shape *shape, enum engine_winograd form, double factor) {
    struct convolution_case c;
    double direct[CASE_DIRECTIONS], winograd[CASE_DIRECTIONS];
    init(&c, shape, 5, 4, CASE_REAL, form);
    case_run_reference(&c);
    run(&c, CPU_ISA_PORTABLE, 1);
    case_errors(winograd, &c);
    c.winograd = WINOGRAD_OFF;
    case_run_engine(&c, CPU_ISA_PORTABLE, ENGINE_CONVOY, 1);
    case_errors(direct, &c);
    for (int d = 0; d < CASE_DIRECTIONS; d++) {
        double limit = factor * (direct[d] > 0x1p-23 ? direct[d] : 0x1p-23);
        if (winograd[d] > limit) {
            printf("\n  %d-%d %dx%d, direction %d: %.2e, limit %.2e", shape->input.channels,
                shape->output_channels, shape->input.height, shape->input.width, d, winograd[d],
                limit);
        }
        CU_ASSERT(winograd[d] <= limit);
    }
    case_release(&c);
}

static void test_winograd__stays_near_double_precision(void) {
    for (int i = 0; i < case_count(SHAPES); i++) {
        FOR_EACH_FORM(form, &shapes[i]) {
            bool fewest_points = form == WINOGRAD_2X2 && shapes[i].kernel_height == 3;
            check_error(&shapes[i], form, fewest_points ? 4.0 : 10.0);
        }
    }
}

/* The kernel of a shape begins so. */
static bool chosen(const char *name, struct convolution_shape shape, enum engine_kernels engine) {
    struct convolution *convolution = NULL;
    CU_ASSERT_EQUAL_FATAL(convolution_create(&convolution, &shape, kernels_get(CPU_ISA_PORTABLE),
                              engine, WINOGRAD_ON, 1, 1, 1),
        STATUS_OK);
    struct convolution_kernels kernels;
    convolution_name_kernels(&kernels, convolution, false);
    convolution_destroy(convolution);
    bool found = true;
    for (int d = 0; d < CONVOLUTION_DIRECTIONS; d++) {
        found = found && strncmp(kernels.text[d], name, strlen(name)) == 0;
    }
    return found;
}

static bool chosen_for(const char *name, int channels, int pixels) {
    return chosen(
        name, (struct convolution_shape)SQUARE(channels, pixels, channels, 1), ENGINE_CONVOY);
}

static void test_winograd__is_chosen_by_shape(void) {
    CU_ASSERT(chosen_for("winograd 4x4", 64, 224));
    CU_ASSERT(chosen_for("winograd 4x4", 64, 14));
    CU_ASSERT(chosen_for("winograd 4x4", 32, 7));
    CU_ASSERT(chosen_for("winograd 2x2", 64, 6));
    CU_ASSERT(chosen_for("direct", 64, 5));
    CU_ASSERT(chosen_for("winograd 4x4", 64, 4));
    CU_ASSERT(chosen_for("direct", 512, 3));
    CU_ASSERT(chosen_for("direct", 512, 2));
    CU_ASSERT(chosen_for("direct", 31, 14));
    struct convolution_shape five = SQUARE_OF(5, 64, 27, 192, 2);
    CU_ASSERT(chosen("winograd 2x2, 5x5", five, ENGINE_CONVOY));
    five.input.channels = 16;
    CU_ASSERT(chosen("direct 5x5", five, ENGINE_CONVOY));
    struct convolution_shape plain = SQUARE(64, 14, 64, 1);
    struct convolution_shape strided = plain, dilated = plain, padded = plain, flat = plain;
    strided.stride_width = 2;
    dilated.dilation_height = 2;
    padded.pad_height = 3;
    flat.kernel_height = 1;
    CU_ASSERT(chosen("blas", plain, ENGINE_BLAS));
    CU_ASSERT(chosen("direct", strided, ENGINE_CONVOY));
    CU_ASSERT(chosen("direct", dilated, ENGINE_CONVOY));
    CU_ASSERT(chosen("direct", padded, ENGINE_CONVOY));
    CU_ASSERT(chosen("direct", flat, ENGINE_CONVOY));
}

TEST_MAIN("winograd", TEST(test_winograd__is_exact_on_multiples_of_its_divisors),
    TEST(test_winograd__is_exact_with_many_pictures_and_empty_leaves),
    TEST(test_winograd__has_the_same_bits_on_every_instruction_set_and_thread_count),
    TEST(test_winograd__has_the_same_bits_however_pictures_are_cut_into_passes),
    TEST(test_winograd__stays_near_double_precision), TEST(test_winograd__is_chosen_by_shape))
