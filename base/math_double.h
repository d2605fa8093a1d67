/* log, and sine with cosine, of doubles, for base/math.h and the insides of kernels: no branches
 * and no calls, so that a loop over them becomes vector code, and the very operations behind
 * math_log, math_sin and math_cos, so that all give the same bits. Built with -ffp-contract=off.
 */
#ifndef BASE_MATH_DOUBLE_H
#define BASE_MATH_DOUBLE_H

#include "base/math_double_double.h"

#include <stdint.h>
#include <string.h>

#define MATH_DOUBLE_ROUNDER  0x1.8p52           /* adding it rounds to a whole number */
#define MATH_DOUBLE_LN2_HIGH 0x1.62e42fefa38p-1 /* 42 bits: exact times a number of 11 bits */
#define MATH_DOUBLE_LN2_LOW  0x1.ef35793c7673p-45

static inline uint64_t math_double_bits(double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline double math_double_from_bits(uint64_t bits) {
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* A whole number below 2^52, exactly (in integer operations that every instruction set has). */
static inline double math_double_whole(uint64_t number) {
    return math_double_from_bits(0x4330000000000000u | number) - 0x1p52;
}

/* x = 2^k (1 + f) with 1 + f between sqrt(1/2) and sqrt(2); x positive and normal. */
static inline double math_double_reduced_log(double *k, double x) {
    uint64_t above = math_double_bits(x) - 0x3fe6a09e667f3bcdu; /* sqrt(1/2) */
    uint64_t exponent = (above + ((uint64_t)1024 << 52)) >> 52; /* k + 1024, not negative */
    *k = math_double_whole(exponent) - 1024;
    return math_double_from_bits(math_double_bits(x) - ((exponent - 1024) << 52)) - 1;
}

/* x positive and normal */
static inline double math_double_log(double x) {
    double k, f = math_double_reduced_log(&k, x);
    /* log(1 + f) = 2 artanh(s), s = f / (2 + f); and 2 s = f - f^2 / 2 + s f^2 / 2, of which the
     * first term is exact. |s| <= 0.1716: powers up to 23 leave 6e-19. */
    double s = f / (2 + f), square = s * s;
    double r = 2.0 / 23;
    r = r * square + 2.0 / 21;
    r = r * square + 2.0 / 19;
    r = r * square + 2.0 / 17;
    r = r * square + 2.0 / 15;
    r = r * square + 2.0 / 13;
    r = r * square + 2.0 / 11;
    r = r * square + 2.0 / 9;
    r = r * square + 2.0 / 7;
    r = r * square + 2.0 / 5;
    r = r * square + 2.0 / 3;
    r *= square;
    double half = 0.5 * f * f;
    return k * MATH_DOUBLE_LN2_HIGH - ((half - (s * (half + r) + k * MATH_DOUBLE_LN2_LOW)) - f);
}

/* Sine of r, |r| <= pi/4: Taylor to the 17th power; leaves 8e-20. */
static inline double math_double_sine_near(struct double_double r) {
    double x = r.high, square = x * x;
    double q = 1.0 / 355687428096000.0;
    q = q * square - 1.0 / 1307674368000.0;
    q = q * square + 1.0 / 6227020800.0;
    q = q * square - 1.0 / 39916800.0;
    q = q * square + 1.0 / 362880.0;
    q = q * square - 1.0 / 5040.0;
    q = q * square + 1.0 / 120.0;
    q = q * square - 1.0 / 6.0;
    double sine = x + (square * x * q + r.low * (1 - 0.5 * square));
    /* The next term after x, x^3 / 6, is then below half an ulp. */
    return x < 0x1p-27 && x > -0x1p-27 ? x : sine;
}

/* Cosine: Taylor to the 18th power; leaves 3e-21. */
static inline double math_double_cosine_near(struct double_double r) {
    double square = r.high * r.high;
    double q = -1.0 / 6402373705728000.0;
    q = q * square + 1.0 / 20922789888000.0;
    q = q * square - 1.0 / 87178291200.0;
    q = q * square + 1.0 / 479001600.0;
    q = q * square - 1.0 / 3628800.0;
    q = q * square + 1.0 / 40320.0;
    q = q * square - 1.0 / 720.0;
    q = q * square + 1.0 / 24.0;
    double half = 0.5 * square, main = 1 - half;
    return main + (((1 - main) - half) + (square * square * q - r.high * r.low));
}

/* |x| <= 2^20 */
static inline void math_double_sine_cosine(double *sine, double *cosine, double x) {
    /* x = n pi/2 + r, |r| <= pi/4. Pi/2 in pieces of 33 bits (Cody and Waite 1980): their products
     * with n, below 2^20, are exact, and what is left out is below 2^-130. */
    double shifted = x * 0x1.45f306dc9c883p-1 + MATH_DOUBLE_ROUNDER;
    uint64_t quadrant = math_double_bits(shifted); /* n in its last bits */
    double n = shifted - MATH_DOUBLE_ROUNDER;
    struct double_double r = {x - n * 0x1.921fb544p+0, 0};
    r = double_double_add(r, (struct double_double){-n * 0x1.0b4611a6p-34, 0});
    r = double_double_add(r, (struct double_double){-n * 0x1.3198a2ep-69, 0});
    r = double_double_add(r, (struct double_double){-n * 0x1.b839a252049c1p-104, 0});
    double s = math_double_sine_near(r), c = math_double_cosine_near(r);
    double of_sine = quadrant & 1 ? c : s, of_cosine = quadrant & 1 ? s : c;
    uint64_t sine_sign = (quadrant & 2) << 62, cosine_sign = ((quadrant + 1) & 2) << 62;
    *sine = math_double_from_bits(math_double_bits(of_sine) ^ sine_sign);
    *cosine = math_double_from_bits(math_double_bits(of_cosine) ^ cosine_sign);
}

#endif
