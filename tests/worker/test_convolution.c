/* Convolutions against the reference in small whole numbers, where every order of additions gives
 * the same: exactly equal, in all directions, on every instruction set, with one thread and two. */
#include "support/convolution_case.h"
#include "support/support.h"

#include <stdio.h>

struct named_shape {
    const char *name;
    struct convolution_shape shape;
    int pictures;
};

#define SQUARE(c, hw, o, k, s, p)                                                                  \
    { {c, hw, hw}, o, k, k, s, s, p, p, 1, 1, 1 }
#define GROUPS(c, hw, o, k, s, p, g)                                                               \
    { {c, hw, hw}, o, k, k, s, s, p, p, 1, 1, g }

/* Layers of real networks; maps and, where it changes nothing, channels made smaller. */
static const struct named_shape named_shapes[] = {
    {"LeNet-5 C1", SQUARE(1, 32, 6, 5, 1, 0), 2},
    {"LeNet-5 C1, padded", SQUARE(1, 28, 6, 5, 1, 2), 3},
    {"LeNet-5 C3", SQUARE(6, 14, 16, 5, 1, 0), 3},
    {"LeNet-5 C5", SQUARE(16, 5, 120, 5, 1, 0), 5},
    {"LeNet-5 F6", SQUARE(120, 1, 84, 1, 1, 0), 9},
    {"LeNet-5 output", SQUARE(84, 1, 10, 1, 1, 0), 17},
    {"AlexNet conv1", SQUARE(3, 39, 32, 11, 4, 2), 2},
    {"AlexNet conv2", GROUPS(32, 9, 64, 5, 1, 2, 2), 2},
    {"AlexNet conv3", SQUARE(48, 13, 48, 3, 1, 1), 2},
    {"AlexNet conv5", GROUPS(96, 7, 64, 3, 1, 1, 2), 3},
    {"AlexNet fc6", SQUARE(64, 6, 40, 6, 1, 0), 6},
    {"VGG conv1", SQUARE(3, 24, 32, 3, 1, 1), 2},
    {"VGG conv3", SQUARE(64, 14, 64, 3, 1, 1), 2},
    {"VGG fc6", SQUARE(32, 7, 64, 7, 1, 0), 4},
    {"GoogLeNet conv1", SQUARE(3, 32, 32, 7, 2, 3), 2},
    {"GoogLeNet 1x1 reduce", SQUARE(96, 14, 16, 1, 1, 0), 2},
    {"GoogLeNet 5x5", SQUARE(16, 14, 48, 5, 1, 2), 2},
    {"GoogLeNet 208 channels", SQUARE(48, 7, 208, 3, 1, 1), 2},
    {"Inception 1x7", {{32, 9, 9}, 48, 1, 7, 1, 1, 0, 3, 1, 1, 1}, 2},
    {"Inception 7x1", {{32, 9, 9}, 48, 7, 1, 1, 1, 3, 0, 1, 1, 1}, 2},
    {"Inception 1x3", {{32, 8, 8}, 32, 1, 3, 1, 1, 0, 1, 1, 1, 1}, 2},
    {"Inception 3x1", {{32, 8, 8}, 32, 3, 1, 1, 1, 1, 0, 1, 1, 1}, 2},
    {"Inception 3x3/2", SQUARE(24, 15, 32, 3, 2, 0), 2},
    {"ResNet conv1", SQUARE(3, 30, 64, 7, 2, 3), 2},
    {"ResNet 3x3", SQUARE(64, 14, 64, 3, 1, 1), 2},
    {"ResNet 3x3 at 7x7", SQUARE(96, 7, 64, 3, 1, 1), 5},
    {"ResNet 3x3/2", SQUARE(32, 15, 64, 3, 2, 1), 2},
    {"ResNet 1x1/2", SQUARE(64, 14, 64, 1, 2, 0), 2},
    {"ResNet 1x1, 32x32: chains cut", SQUARE(16, 32, 16, 1, 1, 0), 4},
    {"ResNet 1x1 wide", SQUARE(160, 7, 64, 1, 1, 0), 3},
    {"ResNet fc", SQUARE(128, 1, 100, 1, 1, 0), 16},
    {"long sums: more than one segment", SQUARE(160, 6, 32, 3, 1, 1), 2},
    {"depthwise 3x3", GROUPS(40, 9, 40, 3, 1, 1, 40), 2},
    {"depthwise 3x3/2", GROUPS(35, 12, 35, 3, 2, 1, 35), 3},
    {"depthwise 3x3 at 7x7", GROUPS(16, 7, 16, 3, 1, 1, 16), 9},
    {"depthwise 5x5", GROUPS(20, 9, 20, 5, 1, 2, 20), 4},
    {"depthwise 1x1/2", GROUPS(18, 9, 18, 1, 2, 0, 18), 3},
    {"depthwise 3x3/2, dilated", {{33, 15, 14}, 33, 3, 3, 2, 2, 3, 2, 3, 2, 33}, 2},
    {"depthwise 4x3/3x1, chains cut", {{17, 70, 30}, 17, 4, 3, 3, 1, 1, 2, 1, 1, 17}, 2},
    {"depthwise of the whole picture", GROUPS(21, 5, 21, 5, 1, 0, 21), 5},
    {"depthwise 3x3/2, multiplier 2", GROUPS(20, 9, 40, 3, 2, 1, 20), 2},
    {"dilated 3x3", {{32, 12, 12}, 32, 3, 3, 1, 1, 2, 2, 2, 2, 1}, 2},
    {"dilated 2, stride 2", {{16, 13, 13}, 16, 3, 3, 2, 2, 2, 2, 2, 2, 1}, 2},
    {"dilated 3, stride 2", {{16, 15, 15}, 20, 3, 3, 2, 2, 3, 3, 3, 3, 1}, 2},
    {"pad beyond the kernel", SQUARE(16, 5, 16, 1, 1, 3), 2},
    {"pad beyond the kernel, strided", SQUARE(17, 5, 18, 2, 3, 4), 2},
    {"stride beyond the kernel", SQUARE(16, 11, 16, 1, 3, 0), 2},
    {"copied: 15 channels, wide border", SQUARE(15, 9, 33, 4, 2, 3), 3},
    {"copied: 3 channels, 1x5", {{3, 6, 21}, 16, 1, 5, 1, 2, 0, 2, 1, 1, 1}, 4},
    {"copied: rows skipped, not columns", {{24, 9, 7}, 40, 1, 1, 3, 1, 0, 0, 1, 1, 1}, 5},
    {"copied: strided 1x1 in groups", GROUPS(64, 8, 96, 1, 2, 0, 2), 4},
    {"pieces: long rows, chains cut", {{20, 6, 230}, 18, 3, 3, 1, 1, 1, 1, 1, 1, 1}, 3},
    {"a perceptron on 12x12 pixels", SQUARE(1, 12, 33, 12, 1, 0), 7},
    {"one pixel, padded 3x3", SQUARE(16, 1, 16, 3, 1, 1), 4},
    {"a column", {{20, 40, 1}, 20, 3, 1, 1, 1, 1, 0, 1, 1, 1}, 3},
    {"two pixels wide", SQUARE(33, 2, 47, 2, 1, 1), 20},
};

static void check(
    const struct convolution_shape *shape, int pictures, int leaves, int limit, const char *name) {
    struct convolution_case c;
    case_init(&c, shape, pictures, leaves, CASE_WHOLE);
    case_cut(&c, limit);
    case_run_reference(&c);
    CPU_FOR_EACH_ISA (isa) {
        for (int threads = 1; threads <= 2; threads++) {
            char what[96];
            snprintf(what, sizeof what, "%s, %s, %d threads", name, cpu_isa_name(isa), threads);
            case_run_engine(&c, isa, ENGINE_CONVOY, threads);
            case_assert_equal(&c, 0.0, what);
        }
    }
    case_release(&c);
}

static void test_convolution__is_exact_on_layers_of_real_networks(void) {
    for (size_t i = 0; i < sizeof named_shapes / sizeof named_shapes[0]; i++) {
        const struct named_shape *named = &named_shapes[i];
        check(&named->shape, named->pictures, 2, 0, named->name);
    }
}

static void test_convolution__is_exact_on_random_shapes(void) {
    for (int i = 0; i < case_count(200); i++) {
        struct convolution_shape shape = case_random_shape();
        int leaves = 1 << test_random_between(0, 3);
        check(&shape, test_random_between(1, 6), leaves, 1 << test_random_between(0, 3), "random");
    }
}

/* Chains of many pictures, and leaves of many chains. */
static void test_convolution__is_exact_with_many_pictures(void) {
    struct convolution_shape small = SQUARE(5, 3, 7, 3, 1, 1), one = SQUARE(30, 1, 7, 1, 1, 0);
    check(&small, 120, 2, 0, "chains of 15 pictures");
    check(&small, 90, 1, 0, "one leaf of 6 chains");
    check(&one, 300, 2, 0, "linear, leaves of two chains");
}

static void test_convolution__gives_zeros_for_subtrees_without_pictures(void) {
    struct convolution_shape shape = SQUARE(20, 5, 20, 3, 1, 1);
    for (int pictures = 0; pictures < 4; pictures++) {
        check(&shape, pictures, 8, 2, "empty leaves");
        check(&shape, pictures, 4, 0, "empty leaves in a tree");
    }
}

/* A node with an empty child is its other child, on whichever side it is empty. */
static void test_convolution__skips_empty_leaves_before_others(void) {
    static const int starts[][5] = {{0, 0, 0, 2, 3}, {0, 0, 1, 1, 3}, {0, 0, 0, 0, 3}};
    struct convolution_shape shape = SQUARE(20, 5, 20, 3, 1, 1);
    for (size_t i = 0; i < sizeof starts / sizeof starts[0]; i++) {
        struct convolution_case c;
        case_init(&c, &shape, 3, 4, CASE_WHOLE);
        for (int l = 0; l <= 4; l++) {
            c.leaf_start[l] = starts[i][l];
        }
        case_run_reference(&c);
        case_run_engine(&c, CPU_ISA_PORTABLE, ENGINE_CONVOY, 1);
        case_assert_equal(&c, 0.0, "empty leaves first");
        case_run_engine(&c, CPU_ISA_PORTABLE, ENGINE_BLAS, 1);
        case_assert_equal(&c, 0.0, "empty leaves first, blas");
        case_release(&c);
    }
}

static void test_convolution__is_exact_on_the_blas_engine(void) {
    for (int i = 0; i < case_count(40); i++) {
        struct convolution_shape shape = case_random_shape();
        struct convolution_case c;
        case_init(&c, &shape, test_random_between(0, 5), 4, CASE_WHOLE);
        case_cut(&c, 1 << test_random_between(0, 2));
        case_run_reference(&c);
        for (int threads = 1; threads <= 2; threads++) {
            case_run_engine(&c, CPU_ISA_PORTABLE, ENGINE_BLAS, threads);
            case_assert_equal(&c, 0.0, "blas");
        }
        case_release(&c);
    }
}

static void test_convolution__refuses_what_does_not_fit(void) {
    struct shape output;
    struct convolution_shape shape = SQUARE(16, 4, 16, 5, 1, 0);
    TEST_ASSERT_FAILS(convolution_output(&output, &shape), "does not fit");
    shape = (struct convolution_shape)GROUPS(15, 4, 16, 3, 1, 1, 2);
    TEST_ASSERT_FAILS(convolution_output(&output, &shape), "groups 2 must divide");
    shape = (struct convolution_shape)SQUARE(16, 4, 16, 3, 0, 1);
    TEST_ASSERT_FAILS(convolution_output(&output, &shape), "at least 1");
    shape = (struct convolution_shape)SQUARE(16, 4, 16, 3, 1, 1000000000);
    TEST_ASSERT_FAILS(convolution_output(&output, &shape), "too large");
}

TEST_MAIN("convolution", TEST(test_convolution__is_exact_on_layers_of_real_networks),
    TEST(test_convolution__is_exact_on_random_shapes),
    TEST(test_convolution__is_exact_with_many_pictures),
    TEST(test_convolution__gives_zeros_for_subtrees_without_pictures),
    TEST(test_convolution__skips_empty_leaves_before_others),
    TEST(test_convolution__is_exact_on_the_blas_engine),
    TEST(test_convolution__refuses_what_does_not_fit))
