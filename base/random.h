/* Random numbers as pure functions: Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random
 * numbers: as easy as 1, 2, 3", SC 2011). There is no stream and no state: a number depends only
 * on what it is for, so that no rank, thread or order of work can change it.
 */
#ifndef BASE_RANDOM_H
#define BASE_RANDOM_H

#include <stdint.h>

/* The bijection itself: 4 x 32 random bits from a counter and a key. */
void philox4x32(uint32_t out[4], const uint32_t counter[4], const uint32_t key[2]);

/* What a number is for. The values are part of the same-bits promise: never renumber. */
enum random_purpose {
    RANDOM_SHUFFLE = 1,    /* the order of an epoch: time = epoch */
    RANDOM_INITIALISE = 2, /* first weights: unit = parameter, item = 0, block = element / 4 */
    RANDOM_DROPOUT = 3,    /* unit = layer, time = step, item = position in the batch */
    RANDOM_TRANSFORM = 4,  /* unit = place in the list of transforms, time = epoch, item = record */
    RANDOM_SPLIT = 5,      /* dealing records into train and validation at import */
};

/* Which random block: all fields matter, none may be left out. */
struct random_place {
    uint64_t seed;
    enum random_purpose purpose; /* 8 bits */
    uint32_t unit;               /* 24 bits: layer, parameter or transform */
    uint32_t time;               /* step or epoch */
    uint32_t item;               /* picture, record or leaf */
};

/* Block number `block` (four 32-bit words) at `place`. */
void random_block(uint32_t out[4], const struct random_place *place, uint32_t block);

/* Uniform in [0, 1) with 24 bits, exactly representable: (bits >> 8) * 2^-24. */
float random_uniform(uint32_t bits);

/* Whole number in [0, count) from 32 bits by multiply-shift (bias below count / 2^32). */
uint32_t random_below(uint32_t bits, uint32_t count);

/* Two standard normal numbers from two words (Box and Muller 1958, with base/math.h). */
void random_normal(double out[2], uint32_t a, uint32_t b);

#endif
