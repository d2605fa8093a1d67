/* Philox4x32-10 (base/random.h) from counter to words, for random.c and the insides of kernels: no
 * branches and no calls, so that a loop over it becomes vector code.
 */
#ifndef BASE_PHILOX_H
#define BASE_PHILOX_H

#include "base/random.h"

#define PHILOX_ROUNDS 10
#define PHILOX_WEYL_0 0x9E3779B9u /* golden ratio */
#define PHILOX_WEYL_1 0xBB67AE85u /* sqrt(3) - 1 */

/* One round of one counter; the key rises by the Weyl numbers from a round to the next. */
static inline void philox_round(
    uint32_t *c0, uint32_t *c1, uint32_t *c2, uint32_t *c3, uint32_t k0, uint32_t k1) {
    uint64_t product_0 = (uint64_t)0xD2511F53u * *c0;
    uint64_t product_1 = (uint64_t)0xCD9E8D57u * *c2;
    *c0 = (uint32_t)(product_1 >> 32) ^ *c1 ^ k0;
    *c1 = (uint32_t)product_1;
    *c2 = (uint32_t)(product_0 >> 32) ^ *c3 ^ k1;
    *c3 = (uint32_t)product_0;
}

/* Counter (without the number of the block, which is its first word) and key of a place. */
static inline void philox_place(
    uint32_t counter[4], uint32_t key[2], const struct random_place *place) {
    counter[0] = 0;
    counter[1] = place->item;
    counter[2] = place->time;
    counter[3] = (uint32_t)place->purpose << 24 | (place->unit & 0xFFFFFFu);
    key[0] = (uint32_t)place->seed;
    key[1] = (uint32_t)(place->seed >> 32);
}

#endif
