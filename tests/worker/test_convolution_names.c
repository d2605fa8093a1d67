/* What inspect calls the kernels of each direction, on registers as wide as AVX-512's. */
#include "support/support.h"
#include "worker/kernels/convolution.h"

#define SQUARE(c, hw, o, k, s, p, groups)                                                          \
    { {c, hw, hw}, o, k, k, s, s, p, p, 1, 1, groups }

static struct convolution_kernels names_of(
    struct convolution_shape shape, enum engine_kernels engine, bool transposed) {
    struct kernels wide = *kernels_get(CPU_ISA_PORTABLE);
    wide.product.rows = 14;
    wide.product.weights_rows = 8;
    wide.product.lanes = 32;
    struct convolution *convolution = NULL;
    struct convolution_kernels names;
    CU_ASSERT_EQUAL_FATAL(
        convolution_create(&convolution, &shape, &wide, engine, WINOGRAD_ON, 1, 1, 1), STATUS_OK);
    convolution_name_kernels(&names, convolution, transposed);
    convolution_destroy(convolution);
    return names;
}

static void check(const struct convolution_kernels *names, const char *shared, const char *forward,
    const char *data, const char *weights) {
    const char *own[CONVOLUTION_DIRECTIONS] = {forward, data, weights};
    for (int d = 0; d < CONVOLUTION_DIRECTIONS; d++) {
        char text[160];
        snprintf(text, sizeof text, "%s%s", shared, own[d]);
        CU_ASSERT_STRING_EQUAL(names->text[d], text);
        CU_ASSERT_STRING_EQUAL(names->text[d] + names->shared, own[d]);
    }
}

static void check_plain(struct convolution_shape shape, const char *shared, const char *forward,
    const char *data, const char *weights) {
    struct convolution_kernels names = names_of(shape, ENGINE_CONVOY, false);
    check(&names, shared, forward, data, weights);
}

static void test_convolution_names__have_the_tile_of_each_direction(void) {
    check_plain((struct convolution_shape)SQUARE(64, 14, 64, 3, 2, 1, 1), "direct 3x3 portable ",
        "14x32", "14x32", "14x32");
    check_plain((struct convolution_shape)SQUARE(16, 14, 64, 3, 1, 1, 1), "direct 3x3 portable ",
        "14x32", "14x16", "14x32");
    check_plain((struct convolution_shape)SQUARE(64, 14, 64, 3, 1, 1, 1),
        "winograd 4x4, 3x3 portable ", "14x32", "14x32", "8x32");
    check_plain((struct convolution_shape)SQUARE(32, 9, 32, 3, 1, 1, 32), "depthwise 3x3 portable",
        "", "", "");
}

static void test_convolution_names__tell_of_groups_in_dense_blocks(void) {
    const char *four = "14x16, groups of 4 in dense blocks";
    check_plain((struct convolution_shape)SQUARE(32, 9, 32, 3, 1, 1, 8), "direct 3x3 portable ",
        four, four, four);
    const char *two = "14x16, groups of 1 to 2 in dense blocks";
    check_plain((struct convolution_shape)SQUARE(16, 9, 32, 3, 1, 1, 16), "direct 3x3 portable ",
        two, two, two);
    check_plain((struct convolution_shape)SQUARE(64, 9, 32, 1, 1, 0, 2), "direct 1x1 portable ",
        "14x16", "14x32", "14x16");
}

static void test_convolution_names__tell_what_is_copied(void) {
    check_plain((struct convolution_shape)SQUARE(3, 30, 64, 7, 2, 3, 1), "direct 7x7 portable ",
        "14x32, input copied", "14x16", "14x32, input copied");
    check_plain((struct convolution_shape)SQUARE(64, 14, 64, 1, 2, 0, 1), "direct 1x1 portable ",
        "14x32, input copied", "14x32", "14x32, input copied");
    check_plain((struct convolution_shape)SQUARE(64, 6, 100, 6, 1, 0, 1), "direct 6x6 portable ",
        "14x32, input copied", "14x32", "14x32, input and gradient copied");
}

/* Whose forward is the planned convolution's backward-data, and whose input is its output. */
static void test_convolution_names__of_a_transposed_one_change_places(void) {
    struct convolution_kernels names =
        names_of((struct convolution_shape)SQUARE(3, 30, 64, 7, 2, 3, 1), ENGINE_CONVOY, true);
    check(&names, "direct 7x7 portable ", "14x16", "14x32, gradient copied",
        "14x32, gradient copied");
    names = names_of((struct convolution_shape)SQUARE(16, 9, 32, 3, 1, 1, 16), ENGINE_CONVOY, true);
    check(&names, "direct 3x3 portable ", "14x16, groups of 2 to 1 in dense blocks",
        "14x16, groups of 2 to 1 in dense blocks", "14x16, groups of 2 to 1 in dense blocks");
}

static void test_convolution_names__of_blas_say_no_more(void) {
    struct convolution_kernels names =
        names_of((struct convolution_shape)SQUARE(32, 9, 32, 3, 1, 1, 8), ENGINE_BLAS, false);
    check(&names, "blas im2col 3x3", "", "", "");
}

TEST_MAIN("convolution names", TEST(test_convolution_names__have_the_tile_of_each_direction),
    TEST(test_convolution_names__tell_of_groups_in_dense_blocks),
    TEST(test_convolution_names__tell_what_is_copied),
    TEST(test_convolution_names__of_a_transposed_one_change_places),
    TEST(test_convolution_names__of_blas_say_no_more))
