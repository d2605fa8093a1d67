#include "base/random.h"
#include "support/support.h"

#include <math.h>
#include <string.h>

/* The vectors "philox4x32 10" of kat_vectors in Random123, by the paper's authors. */
static void test_random__philox_gives_the_published_vectors(void) {
    static const uint32_t vectors[][10] = {
        {0, 0, 0, 0, 0, 0, 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8},
        {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0x408f276d,
            0x41c83b0e, 0xa20bc7c6, 0x6d5451fd},
        {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0, 0xd16cfe09,
            0x94fdcceb, 0x5001e420, 0x24126ea1},
    };
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        uint32_t out[4];
        philox4x32(out, vectors[i], vectors[i] + 4);
        CU_ASSERT_EQUAL(memcmp(out, vectors[i] + 6, sizeof out), 0);
    }
}

static void test_random__every_part_of_the_place_counts(void) {
    struct random_place place = {(uint64_t)7 << 32 | 9, RANDOM_DROPOUT, 3, 4, 5};
    struct random_place others[6];
    for (int i = 0; i < 6; i++) {
        others[i] = place;
    }
    others[0].seed += 1;
    others[1].seed += (uint64_t)1 << 32;
    others[2].purpose = RANDOM_TRANSFORM;
    others[3].unit += 1;
    others[4].time += 1;
    others[5].item += 1;
    uint32_t first[4], second[4];
    random_block(first, &place, 0);
    for (int i = 0; i < 6; i++) {
        random_block(second, &others[i], 0);
        CU_ASSERT_NOT_EQUAL(memcmp(first, second, sizeof first), 0);
    }
    random_block(second, &place, 1);
    CU_ASSERT_NOT_EQUAL(memcmp(first, second, sizeof first), 0);
    random_block(second, &place, 0);
    CU_ASSERT_EQUAL(memcmp(first, second, sizeof first), 0);
}

static void test_random__uniform_stays_below_one(void) {
    CU_ASSERT_EQUAL(random_uniform(0), 0);
    CU_ASSERT_EQUAL(random_uniform(255), 0);
    CU_ASSERT_EQUAL(random_uniform(256), 0x1p-24f);
    CU_ASSERT_EQUAL(random_uniform(0x80000000), 0.5f);
    CU_ASSERT_EQUAL(random_uniform(UINT32_MAX), 1 - 0x1p-24f);
}

static void test_random__below_deals_evenly(void) {
    CU_ASSERT_EQUAL(random_below(UINT32_MAX, 7), 6);
    CU_ASSERT_EQUAL(random_below(0, 7), 0);
    CU_ASSERT_EQUAL(random_below(UINT32_MAX, 1), 0);
    CU_ASSERT_EQUAL(random_below(UINT32_MAX, UINT32_MAX), UINT32_MAX - 1);
    int counts[7] = {0};
    struct random_place place = {test_seed(), RANDOM_SHUFFLE, 0, 0, 0};
    for (uint32_t block = 0; block < 7000; block++) {
        uint32_t out[4];
        random_block(out, &place, block);
        for (int i = 0; i < 4; i++) {
            counts[random_below(out[i], 7)]++;
        }
    }
    for (int i = 0; i < 7; i++) {
        CU_ASSERT_TRUE(counts[i] > 4000 - 320 && counts[i] < 4000 + 320); /* 5 deviations */
    }
}

static void test_random__normal_has_the_moments_of_one(void) {
    double sum = 0, squares = 0, cubes = 0, fourths = 0, products = 0;
    int within = 0;
    const int blocks = 50000;
    struct random_place place = {test_seed(), RANDOM_INITIALISE, 1, 0, 0};
    for (uint32_t block = 0; block < (uint32_t)blocks; block++) {
        uint32_t bits[4];
        random_block(bits, &place, block);
        for (int pair = 0; pair < 2; pair++) {
            double out[2];
            random_normal(out, bits[2 * pair], bits[2 * pair + 1]);
            products += out[0] * out[1];
            for (int i = 0; i < 2; i++) {
                double square = out[i] * out[i];
                sum += out[i];
                squares += square;
                cubes += out[i] * square;
                fourths += square * square;
                within += square < 1;
            }
        }
    }
    double count = 4.0 * blocks, deviations = 5 / sqrt(count);
    CU_ASSERT_DOUBLE_EQUAL(sum / count, 0, deviations);
    CU_ASSERT_DOUBLE_EQUAL(squares / count, 1, deviations * sqrt(2));
    CU_ASSERT_DOUBLE_EQUAL(cubes / count, 0, deviations * sqrt(15));
    CU_ASSERT_DOUBLE_EQUAL(fourths / count, 3, deviations * sqrt(96));
    CU_ASSERT_DOUBLE_EQUAL(products / (count / 2), 0, deviations * sqrt(2));
    CU_ASSERT_DOUBLE_EQUAL(within / count, 0.6826894921, deviations * 0.4655);
}

static void test_random__normal_follows_box_and_muller(void) {
    for (int i = 0; i < 10000; i++) {
        uint32_t a = test_random(), b = test_random();
        double out[2], radius = sqrt(-2 * log((a + 1.0) / 4294967296.0));
        random_normal(out, a, b);
        CU_ASSERT_DOUBLE_EQUAL(out[0], radius * cos(2 * acos(-1) * (b / 4294967296.0)), 1e-14);
        CU_ASSERT_DOUBLE_EQUAL(out[1], radius * sin(2 * acos(-1) * (b / 4294967296.0)), 1e-14);
    }
}

static void test_random__normal_is_finite_at_the_ends(void) {
    static const uint32_t ends[] = {0, 1, 0x7fffffff, 0x80000000, UINT32_MAX};
    for (int a = 0; a < 5; a++) {
        for (int b = 0; b < 5; b++) {
            double out[2];
            random_normal(out, ends[a], ends[b]);
            CU_ASSERT_TRUE(isfinite(out[0]) && isfinite(out[1]));
            CU_ASSERT_TRUE(fabs(out[0]) < 6.7 && fabs(out[1]) < 6.7);
        }
    }
}

TEST_MAIN("random", TEST(test_random__philox_gives_the_published_vectors),
    TEST(test_random__every_part_of_the_place_counts), TEST(test_random__uniform_stays_below_one),
    TEST(test_random__below_deals_evenly), TEST(test_random__normal_has_the_moments_of_one),
    TEST(test_random__normal_follows_box_and_muller),
    TEST(test_random__normal_is_finite_at_the_ends))
