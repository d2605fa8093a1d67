/* Random numbers by many are those of base/random.h, one by one, on every instruction set. */
#include "support/support.h"
#include "worker/kernels/kernels.h"

#include <string.h>

#define MOST 1000

/* `check` with the kernels of every instruction set that this machine has. */
static void each_set(void (*check)(const struct random_kernels *kernels)) {
    CPU_FOR_EACH_ISA (isa) {
        check(&kernels_get(isa)->random);
    }
}

static void check_words(const struct random_kernels *kernels) {
    for (int trial = 0; trial < 200; trial++) {
        const struct random_place place = {
            .seed = (uint64_t)test_random() << 21,
            .purpose = RANDOM_DROPOUT,
            .unit = (uint32_t)test_random_between(0, 1 << 24),
            .time = test_random(),
            .item = test_random(),
        };
        uint32_t first = test_random();
        size_t count = (size_t)test_random_between(0, MOST);
        uint32_t words[MOST + 1], block[4] = {0};
        words[count] = 0x12345678;
        kernels->words(words, &place, first, count);
        size_t wrong = 0;
        for (size_t i = 0; i < count; i++) {
            if (i % 4 == 0) {
                random_block(block, &place, first + (uint32_t)(i / 4));
            }
            wrong += words[i] != block[i % 4];
        }
        CU_ASSERT_EQUAL(wrong, 0);
        CU_ASSERT_EQUAL(words[count], 0x12345678); /* nothing beyond */
    }
}

static void test_random_kernels__words_are_those_of_the_blocks(void) {
    each_set(check_words);
}

/* Words at random, and those next to where something changes: quarters of the circle, the ends. */
static void make_words(uint32_t *words, size_t count) {
    for (size_t i = 0; i < count; i++) {
        uint32_t near = (uint32_t)test_random_between(0, 7) << 29;
        bool edge = test_random_between(0, 3) == 0;
        words[i] = edge ? near + (uint32_t)test_random_between(0, 4) - 2u : test_random();
    }
}

static void check_numbers(const struct random_kernels *kernels) {
    for (int trial = 0; trial < 200; trial++) {
        uint32_t words[MOST];
        float uniforms[MOST];
        double normals[MOST], pair[2];
        size_t count = (size_t)test_random_between(0, MOST / 2) * 2, wrong = 0;
        make_words(words, count);
        kernels->uniforms(uniforms, words, count);
        kernels->normals(normals, words, count);
        for (size_t i = 0; i < count; i += 2) {
            random_normal(pair, words[i], words[i + 1]);
            wrong += memcmp(pair, normals + i, sizeof pair) != 0;
            wrong += uniforms[i] != random_uniform(words[i]);
            wrong += uniforms[i + 1] != random_uniform(words[i + 1]);
        }
        CU_ASSERT_EQUAL(wrong, 0);
    }
}

static void test_random_kernels__numbers_are_those_of_the_words(void) {
    each_set(check_numbers);
}

TEST_MAIN("random kernels", TEST(test_random_kernels__words_are_those_of_the_blocks),
    TEST(test_random_kernels__numbers_are_those_of_the_words))
