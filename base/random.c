#include "base/random.h"

#include "base/math.h"

#include <math.h>

#define ROUNDS       10
#define MULTIPLIER_0 0xD2511F53u
#define MULTIPLIER_1 0xCD9E8D57u
#define WEYL_0       0x9E3779B9u /* golden ratio */
#define WEYL_1       0xBB67AE85u /* sqrt(3) - 1 */

void philox4x32(uint32_t out[4], const uint32_t counter[4], const uint32_t key[2]) {
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3];
    uint32_t k0 = key[0], k1 = key[1];
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t product_0 = (uint64_t)MULTIPLIER_0 * c0;
        uint64_t product_1 = (uint64_t)MULTIPLIER_1 * c2;
        c0 = (uint32_t)(product_1 >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)product_1;
        c2 = (uint32_t)(product_0 >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)product_0;
        k0 += WEYL_0;
        k1 += WEYL_1;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

void random_block(uint32_t out[4], const struct random_place *place, uint32_t block) {
    uint32_t purpose_and_unit = (uint32_t)place->purpose << 24 | (place->unit & 0xFFFFFFu);
    const uint32_t counter[4] = {block, place->item, place->time, purpose_and_unit};
    const uint32_t key[2] = {(uint32_t)place->seed, (uint32_t)(place->seed >> 32)};
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
    double radius = sqrt(-2 * math_log(uniform));
    out[0] = radius * math_cos(angle);
    out[1] = radius * math_sin(angle);
}
