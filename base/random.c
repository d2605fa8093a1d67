#include "base/random.h"

#include "base/math.h"
#include "base/math_double.h"
#include "base/philox.h"

#include <math.h>

void philox4x32(uint32_t out[4], const uint32_t counter[4], const uint32_t key[2]) {
    memcpy(out, counter, 4 * sizeof *out);
    for (uint32_t round = 0; round < PHILOX_ROUNDS; round++) {
        philox_round(out, out + 1, out + 2, out + 3, key[0] + round * PHILOX_WEYL_0,
            key[1] + round * PHILOX_WEYL_1);
    }
}

void random_block(uint32_t out[4], const struct random_place *place, uint32_t block) {
    uint32_t counter[4], key[2];
    philox_place(counter, key, place);
    counter[0] = block;
    philox4x32(out, counter, key);
}

float random_uniform(uint32_t bits) {
    return (float)(bits >> 8) * 0x1p-24f;
}

uint32_t random_below(uint32_t bits, uint32_t count) {
    return (uint32_t)(((uint64_t)bits * count) >> 32);
}

void random_normal(double out[2], uint32_t a, uint32_t b) {
    /* In (0, 1], so that the logarithm is finite. */
    double uniform = ((double)a + 1) * 0x1p-32;
    double angle = 2 * MATH_PI * ((double)b * 0x1p-32);
    double radius = sqrt(-2 * math_double_log(uniform));
    double sine, cosine;
    math_double_sine_cosine(&sine, &cosine, angle);
    out[0] = radius * cosine;
    out[1] = radius * sine;
}
