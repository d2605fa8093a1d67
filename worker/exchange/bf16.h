/* bfloat16: the upper half of a float, 8 bits of mantissa and the whole range. */
#ifndef WORKER_EXCHANGE_BF16_H
#define WORKER_EXCHANGE_BF16_H

#include <stdint.h>
#include <string.h>

/* The nearest one, of two as near the even one. */
static inline uint16_t bf16_of(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    uint32_t rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
    return value == value ? (uint16_t)rounded : 0x7fc0;
}

static inline float bf16_value(uint16_t narrow) {
    uint32_t bits = (uint32_t)narrow << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

#endif
