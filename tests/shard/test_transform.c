#include "shard/transform.h"
#include "support/chain.h"
#include "support/support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A picture of random pixels, and the floats that come out of a chain. */
static struct picture make_picture(int channels, int height, int width) {
    struct picture picture = {channels, height, width, malloc((size_t)(channels * height * width))};
    for (int i = 0; i < channels * height * width; i++) {
        picture.pixels[i] = (uint8_t)test_random();
    }
    return picture;
}

static int pixel(const struct picture *picture, int y, int x, int channel) {
    if (y < 0 || x < 0 || y >= picture->height || x >= picture->width) {
        return 0;
    }
    return picture->pixels[(y * picture->width + x) * picture->channels + channel];
}

static float *apply(
    const struct chain *chain, const struct picture *picture, uint32_t epoch, uint32_t record) {
    float *out = malloc(shape_elements(transform_chain_output(chain->chain)) * sizeof *out);
    CU_ASSERT_EQUAL_FATAL(
        transform_chain_apply(out, picture, chain->chain, chain->scratch, epoch, record),
        STATUS_OK);
    return out;
}

static void test_transform__normalize_is_its_formula(void) {
    struct chain chain;
    const double mean[3] = {0.1, 0.5, 0.9}, deviation[3] = {0.2, 0.25, 3};
    struct picture picture = make_picture(3, 7, 5);
    CU_ASSERT_EQUAL_FATAL(
        chain_init(&chain, "[normalize: {mean: [0.1, 0.5, 0.9], std: [0.2, 0.25, 3]}]", false,
            (struct shape){3, 7, 5}),
        STATUS_OK);
    float *out = apply(&chain, &picture, 0, 0);
    for (int c = 0; c < 3; c++) {
        for (int i = 0; i < 35; i++) {
            double expected = (picture.pixels[3 * i + c] / 255.0 - mean[c]) / deviation[c];
            CU_ASSERT(fabs(out[35 * c + i] - expected) < 1e-6);
        }
    }
    free(out);
    chain_release(&chain);
    CU_ASSERT_EQUAL_FATAL(
        chain_init(&chain, "[normalize: {mean: 0.5, std: 0.25}]", true, (struct shape){3, 7, 5}),
        STATUS_OK);
    out = apply(&chain, &picture, 0, 0);
    CU_ASSERT(fabs(out[35] - (picture.pixels[1] / 255.0 - 0.5) / 0.25) < 1e-6);
    free(out);
    chain_release(&chain);
    picture_release(&picture);
}

/* The triangle filter written down as it is defined: every input, in two dimensions, in double. */
static double weight(int out, int out_size, int in, int in_size) {
    double scale = (double)in_size / out_size, reach = fmax(scale, 1);
    return fmax(0, 1 - fabs((in + 0.5) - (out + 0.5) * scale) / reach);
}
static double resampled(
    const struct picture *picture, int channel, int y, int x, int height, int width) {
    double sum = 0, all = 0;
    for (int v = 0; v < picture->height; v++) {
        for (int u = 0; u < picture->width; u++) {
            double w = weight(y, height, v, picture->height) * weight(x, width, u, picture->width);
            sum += w * pixel(picture, v, u, channel);
            all += w;
        }
    }
    return sum / all;
}

static void test_transform__resize_is_the_triangle_filter(void) {
    const int sizes[][4] = {{9, 13, 9, 13}, {9, 13, 5, 6}, {9, 13, 20, 31}, {1, 40, 7, 3},
        {33, 2, 4, 9}, {31, 17, 1, 1}, {1, 1, 6, 5}};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        int channels = i % 2 == 0 ? 3 : 1, height = sizes[i][2], width = sizes[i][3];
        struct picture picture = make_picture(channels, sizes[i][0], sizes[i][1]);
        struct chain chain;
        char text[64];
        snprintf(text, sizeof text, "[resize: {size: [%d, %d]}]", height, width);
        CU_ASSERT_EQUAL_FATAL(
            chain_init(&chain, text, false, (struct shape){channels, 0, 0}), STATUS_OK);
        float *out = apply(&chain, &picture, 0, 0);
        double worst = 0;
        for (int c = 0; c < channels; c++) {
            for (int y = 0; y < height; y++) {
                for (int x = 0; x < width; x++) {
                    double error = fabs(out[(c * height + y) * width + x] -
                                        resampled(&picture, c, y, x, height, width));
                    worst = fmax(worst, error);
                }
            }
        }
        CU_ASSERT(worst < 1e-4);
        free(out);
        chain_release(&chain);
        picture_release(&picture);
    }
}

static void test_transform__resize_keeps_the_aspect(void) {
    const int sizes[][5] = {{100, 50, 20, 40, 20}, {50, 100, 20, 20, 40}, {333, 500, 256, 256, 384},
        {500, 333, 256, 384, 256}, {7, 7, 9, 9, 9}};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct chain chain;
        char text[64];
        snprintf(text, sizeof text, "[resize: {size: %d}]", sizes[i][2]);
        struct shape input = {3, sizes[i][0], sizes[i][1]};
        CU_ASSERT_EQUAL_FATAL(chain_init(&chain, text, false, input), STATUS_OK);
        CU_ASSERT(shape_equal(
            transform_chain_output(chain.chain), (struct shape){3, sizes[i][3], sizes[i][4]}));
        chain_release(&chain);
    }
}

/* Whether `out` is the window of the picture at (y, x), mirrored or not. */
static bool is_window(const float *out, struct shape shape, const struct picture *picture, int y,
    int x, bool mirrored) {
    for (int c = 0; c < shape.channels; c++) {
        for (int v = 0; v < shape.height; v++) {
            for (int u = 0; u < shape.width; u++) {
                int from = mirrored ? shape.width - 1 - u : u;
                if (out[(c * shape.height + v) * shape.width + u] !=
                    (float)pixel(picture, y + v, x + from, c)) {
                    return false;
                }
            }
        }
    }
    return true;
}

static void test_transform__center_crop_is_the_middle(void) {
    const int sizes[][4] = {{8, 9, 4, 4}, {9, 8, 9, 8}, {11, 10, 1, 3}};
    for (int i = 0; i < 3; i++) {
        struct picture picture = make_picture(3, sizes[i][0], sizes[i][1]);
        struct chain chain;
        char text[64];
        snprintf(text, sizeof text, "[center_crop: {size: [%d, %d]}]", sizes[i][2], sizes[i][3]);
        CU_ASSERT_EQUAL_FATAL(chain_init(&chain, text, false, (struct shape){3, 0, 0}), STATUS_OK);
        float *out = apply(&chain, &picture, 0, 0);
        CU_ASSERT(is_window(out, transform_chain_output(chain.chain), &picture,
            (sizes[i][0] - sizes[i][2]) / 2, (sizes[i][1] - sizes[i][3]) / 2, false));
        free(out);
        chain_release(&chain);
        picture_release(&picture);
    }
}

/* Crop and flip move whole pixels: what comes out is a window of the padded picture, each one as
 * often as any other. */
static void test_transform__crop_and_flip_give_every_window(void) {
    enum { ROWS = 6 + 2 * 2 - 5 + 1, COLUMNS = 7 + 2 * 1 - 4 + 1, ROUNDS = 4000 };
    int counts[ROWS][COLUMNS][2] = {{{0}}};
    struct picture picture = make_picture(3, 6, 7);
    struct chain chain;
    CU_ASSERT_EQUAL_FATAL(chain_init(&chain, "[crop: {size: [5, 4], padding: [2, 1]}, flip]", true,
                              (struct shape){3, 6, 7}),
        STATUS_OK);
    struct shape shape = transform_chain_output(chain.chain);
    CU_ASSERT(shape_equal(shape, (struct shape){3, 5, 4}));
    for (uint32_t round = 0; round < ROUNDS; round++) {
        float *out = apply(&chain, &picture, round / 100, round % 100);
        int found = 0;
        for (int y = 0; y < ROWS; y++) {
            for (int x = 0; x < COLUMNS; x++) {
                for (int mirrored = 0; mirrored < 2; mirrored++) {
                    if (is_window(out, shape, &picture, y - 2, x - 1, mirrored)) {
                        counts[y][x][mirrored]++;
                        found++;
                    }
                }
            }
        }
        CU_ASSERT_EQUAL(found, 1);
        free(out);
    }
    double expected = (double)ROUNDS / (ROWS * COLUMNS * 2), square = 0;
    for (int i = 0; i < ROWS * COLUMNS * 2; i++) {
        double away = (&counts[0][0][0])[i] - expected;
        square += away * away / expected;
    }
    int freedom = ROWS * COLUMNS * 2 - 1;
    CU_ASSERT(fabs(square - freedom) < 4 * sqrt(2.0 * freedom));
    chain_release(&chain);
    picture_release(&picture);
}

static void test_transform__flip_obeys_its_probability(void) {
    struct picture picture = make_picture(1, 2, 5);
    for (int always = 0; always < 2; always++) {
        struct chain chain;
        CU_ASSERT_EQUAL_FATAL(
            chain_init(&chain, always ? "[flip: {probability: 1}]" : "[flip: {probability: 0}]",
                true, (struct shape){1, 2, 5}),
            STATUS_OK);
        for (uint32_t record = 0; record < 50; record++) {
            float *out = apply(&chain, &picture, 1, record);
            CU_ASSERT(is_window(out, (struct shape){1, 2, 5}, &picture, 0, 0, always));
            free(out);
        }
        chain_release(&chain);
    }
    picture_release(&picture);
}

/* Pixels that say where they are (red: x, green: y) give away which window was taken: where a
 * picture grows, bilinear weights keep a slope exactly but for the rim. */
static void test_transform__resized_crop_takes_windows_of_its_ranges(void) {
    enum { HEIGHT = 48, WIDTH = 64, OUT = 64, PLANE = OUT * OUT, ROUNDS = 1500, A = 8, B = 56 };
    struct picture picture = make_picture(3, HEIGHT, WIDTH);
    for (int y = 0; y < HEIGHT; y++) {
        for (int x = 0; x < WIDTH; x++) {
            uint8_t *at = picture.pixels + 3 * (y * WIDTH + x);
            at[0] = (uint8_t)x, at[1] = (uint8_t)y, at[2] = 200;
        }
    }
    struct chain chain;
    CU_ASSERT_EQUAL_FATAL(
        chain_init(&chain, "[resized_crop: {size: 64, area: [0.1, 0.5], aspect: [0.5, 2]}]", true,
            (struct shape){3, HEIGHT, WIDTH}),
        STATUS_OK);
    double area_sum = 0, logarithm_sum = 0;
    int wrong = 0;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        float *out = apply(&chain, &picture, 5, round);
        const float *red = out + A * OUT, *green = out + PLANE + A;
        double slope_x = (double)(red[B] - red[A]) / (B - A);
        double slope_y = (double)(green[B * OUT] - green[A * OUT]) / (B - A);
        double width = slope_x * OUT, height = slope_y * OUT;
        double left = red[A] - (A + 0.5) * slope_x + 0.5;
        double top = green[A * OUT] - (A + 0.5) * slope_y + 0.5;
        double area = width * height / (HEIGHT * WIDTH);
        wrong += fabs(width - nearbyint(width)) > 1e-3 || fabs(height - nearbyint(height)) > 1e-3;
        wrong += fabs(left - nearbyint(left)) > 1e-3 || fabs(top - nearbyint(top)) > 1e-3;
        wrong += left < -0.01 || left + width > WIDTH + 0.01;
        wrong += top < -0.01 || top + height > HEIGHT + 0.01;
        wrong += area < 0.1 - 0.02 || area > 0.5 + 0.02; /* sides are rounded */
        wrong += width / height < 0.5 * 0.93 || width / height > 2 * 1.07;
        wrong += fabs(out[2 * PLANE + A] - 200) > 1e-3;
        area_sum += area;
        logarithm_sum += log(width / height);
        free(out);
    }
    CU_ASSERT_EQUAL(wrong, 0);
    /* Windows that do not fit are drawn again, so that the means are a little off 0.3 and 0. */
    CU_ASSERT(fabs(area_sum / ROUNDS - 0.29) < 0.015);
    CU_ASSERT(fabs(logarithm_sum / ROUNDS) < 0.06);
    chain_release(&chain);
    picture_release(&picture);
}

/* No window of such an aspect fits: the middle is taken. */
static void test_transform__resized_crop_falls_back_to_the_middle(void) {
    struct picture picture = make_picture(1, 4, 200);
    struct chain chain;
    CU_ASSERT_EQUAL_FATAL(
        chain_init(&chain, "[resized_crop: {size: [4, 4], area: [1, 1], aspect: [1, 1]}]", true,
            (struct shape){1, 0, 0}),
        STATUS_OK);
    float *out = apply(&chain, &picture, 0, 0);
    CU_ASSERT(is_window(out, (struct shape){1, 4, 4}, &picture, 0, 98, false));
    free(out);
    chain_release(&chain);
    picture_release(&picture);
}

#define RANDOM_CHAIN "[resized_crop: {size: 12}, crop: {size: 10, padding: 1}, flip]"

static void test_transform__depends_on_epoch_and_record_alone(void) {
    struct picture picture = make_picture(3, 20, 20), other = make_picture(3, 20, 20);
    struct chain chain, again;
    struct shape shape = {3, 20, 20};
    CU_ASSERT_EQUAL_FATAL(chain_init(&chain, RANDOM_CHAIN, true, shape), STATUS_OK);
    CU_ASSERT_EQUAL_FATAL(chain_init(&again, RANDOM_CHAIN, true, shape), STATUS_OK);
    float *a = apply(&chain, &picture, 3, 1000);
    float *between = apply(&again, &other, 7, 8); /* leaves traces in its scratch */
    float *b = apply(&again, &picture, 3, 1000);
    float *epoch = apply(&again, &picture, 4, 1000), *record = apply(&again, &picture, 3, 1001);
    size_t size = shape_elements(transform_chain_output(chain.chain)) * sizeof *a;
    CU_ASSERT_EQUAL(memcmp(a, b, size), 0);
    CU_ASSERT_NOT_EQUAL(memcmp(a, epoch, size), 0);
    CU_ASSERT_NOT_EQUAL(memcmp(a, record, size), 0);
    free(a), free(b), free(between), free(epoch), free(record);
    chain_release(&again);
    chain_release(&chain);
    picture_release(&other);
    picture_release(&picture);
}

static struct shape output_of(const char *text, bool training, struct shape input) {
    struct chain chain;
    struct shape shape = {0};
    CU_ASSERT_EQUAL(chain_init(&chain, text, training, input), STATUS_OK);
    if (chain.chain != NULL) {
        shape = transform_chain_output(chain.chain);
    }
    chain_release(&chain);
    return shape;
}

static void test_transform__on_says_when(void) {
    struct shape input = {3, 32, 32};
    const char *both = "[crop: {size: 28}, center_crop: {size: 24, on: evaluation}]";
    CU_ASSERT_EQUAL(output_of(both, true, input).height, 28);
    CU_ASSERT_EQUAL(output_of(both, false, input).height, 24);
    CU_ASSERT_EQUAL(output_of("[resized_crop: {size: 9}]", false, input).height, 32);
    CU_ASSERT_EQUAL(output_of("[resize: {size: 9}]", true, input).height, 9);
    CU_ASSERT_EQUAL(output_of("[crop: {size: 9, on: both}]", false, input).height, 9);
}

static void test_transform__refuses(void) {
    const struct {
        const char *text, *message;
        struct shape input;
    } cases[] = {{"[normalize: {mean: [1, 2], std: 1}]", "mean has 2 numbers", {3, 8, 8}},
        {"[normalize: {mean: 0, std: 0}]", "std", {3, 8, 8}},
        {"[normalize: {mean: 0}]", "std", {3, 8, 8}},
        {"[flip, center_crop: {size: 9}]", "recipe.yaml:1:", {3, 8, 8}},
        {"[center_crop: {size: 9}]", "of a picture of 8x8", {3, 8, 8}},
        {"[crop: {size: [8, 13], padding: 2}]", "padded by 2x2", {3, 8, 8}},
        {"[resize: {size: 2.5}]", "no whole number", {3, 8, 8}},
        {"[resize: {size: [1, 2, 3]}]", "3 numbers", {3, 8, 8}},
        {"[resize: {size: 8}]", "differ in size", {3, 0, 0}}, {"[]", "differ in size", {3, 0, 0}},
        {"[resized_crop: {size: 4, area: [0.9, 0.1]}]", "smaller one first", {3, 8, 8}},
        {"[resized_crop: {size: 4, aspect: 1}]", "two numbers", {3, 8, 8}},
        {"[flop]", "flip", {3, 8, 8}}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct chain chain;
        CU_ASSERT_EQUAL(chain_init(&chain, cases[i].text, true, cases[i].input), STATUS_USAGE);
        test_assert_message(cases[i].message, __FILE__, __LINE__);
        chain_release(&chain);
    }
    /* A picture too small is that picture's fault. */
    struct picture picture = make_picture(3, 8, 8);
    struct chain chain;
    float out[3 * 81];
    CU_ASSERT_EQUAL_FATAL(
        chain_init(&chain, "[center_crop: {size: 9}]", true, (struct shape){3, 0, 0}), STATUS_OK);
    CU_ASSERT_EQUAL(
        transform_chain_apply(out, &picture, chain.chain, chain.scratch, 0, 0), STATUS_INPUT);
    test_assert_message("of a picture of 8x8", __FILE__, __LINE__);
    chain_release(&chain);
    picture_release(&picture);
}

TEST_MAIN("transform", TEST(test_transform__normalize_is_its_formula),
    TEST(test_transform__resize_is_the_triangle_filter),
    TEST(test_transform__resize_keeps_the_aspect), TEST(test_transform__center_crop_is_the_middle),
    TEST(test_transform__crop_and_flip_give_every_window),
    TEST(test_transform__flip_obeys_its_probability),
    TEST(test_transform__resized_crop_takes_windows_of_its_ranges),
    TEST(test_transform__resized_crop_falls_back_to_the_middle),
    TEST(test_transform__depends_on_epoch_and_record_alone), TEST(test_transform__on_says_when),
    TEST(test_transform__refuses))
