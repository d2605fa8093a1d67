/* exp, exp - 1, log, log(1 + x), tanh and the logistic function of floats, for the insides of
 * kernels: no branches and no calls, so that a loop over them becomes vector code on every
 * instruction set, and explicit fused multiply-adds, so that all give the same bits (built with
 * -ffp-contract=off). Without hardware fused multiply-adds (the portable kernels) they are as
 * exact, and slow.
 *
 * Errors are below 2 ulp (tanh and logistic: 3 ulp), checked in tests/base/test_math_float.c
 * against libm in double. NaN in, NaN out. Results below the smallest normal number count as zero;
 * denormal arguments do too where the thread flushes them, as every computing thread does.
 */
#ifndef BASE_MATH_FLOAT_H
#define BASE_MATH_FLOAT_H

#include <math.h>
#include <stdint.h>
#include <string.h>

static inline uint32_t math_float_bits(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline float math_float_from_bits(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

/* e^x = 2^n (1 + p): returns p and puts n into the exponent field of *scale_bits (mod 2^32).
 * |x| <= 100. */
static inline float math_float_reduced_exp(uint32_t *scale_bits, float x) {
    const float rounder = 0x1.8p23f; /* adding it leaves the whole number in the last bits */
    float shifted = fmaf(x, 0x1.715476p+0f, rounder);
    float n = shifted - rounder;
    *scale_bits = math_float_bits(shifted) << 23;
    float r = fmaf(n, -0x1.62e4p-1f, x); /* ln 2 in two parts */
    r = fmaf(n, -0x1.7f7d1cp-20f, r);
    /* Taylor to the 8th power; |r| <= ln(2) / 2 leaves 2e-10. */
    float q = 1.0f / 40320;
    q = fmaf(q, r, 1.0f / 5040);
    q = fmaf(q, r, 1.0f / 720);
    q = fmaf(q, r, 1.0f / 120);
    q = fmaf(q, r, 1.0f / 24);
    q = fmaf(q, r, 1.0f / 6);
    q = fmaf(q, r, 0.5f);
    return fmaf(r * r, q, r);
}

static inline float math_float_exp(float x) {
    uint32_t scale_bits;
    float p = math_float_reduced_exp(&scale_bits, x);
    float result = math_float_from_bits(math_float_bits(1 + p) + scale_bits);
    result = x > 0x1.62e42ep+6f ? INFINITY : result; /* 128 ln 2 */
    result = x < -0x1.5d589ep+6f ? 0 : result;       /* -126 ln 2 */
    return x != x ? x : result;
}

/* e^x - 1 for x <= 0, without loss where x is small: (2^n - 1) + 2^n p. */
static inline float math_float_expm1(float x) {
    uint32_t scale_bits;
    float p = math_float_reduced_exp(&scale_bits, x < -80 ? -80 : x); /* -1 long before */
    float scale = math_float_from_bits(math_float_bits(1) + scale_bits);
    float result = fmaf(scale, p, scale - 1);
    return x != x ? x : result;
}

/* 1 / (1 + e^-x) */
static inline float math_float_logistic(float x) {
    return 1 / (1 + math_float_exp(-x));
}

static inline float math_float_tanh(float x) {
    /* e / (e + 2) with e = exp(2 |x|) - 1 = (2^n - 1) + 2^n p; 1 from 9.02 on. */
    uint32_t sign = math_float_bits(x) & 0x80000000u, scale_bits;
    float size = math_float_from_bits(math_float_bits(x) ^ sign);
    float clamped = size > 10 ? 10 : size;
    float p = math_float_reduced_exp(&scale_bits, 2 * clamped);
    float scale = math_float_from_bits(math_float_bits(1) + scale_bits);
    float e = fmaf(scale, p, scale - 1);
    float result = math_float_from_bits(math_float_bits(e / (e + 2)) | sign);
    return x != x ? x : result;
}

static inline float math_float_log(float x) {
    /* x = 2^k (1 + f) with 1 + f between sqrt(1/2) and sqrt(2). */
    uint32_t above = math_float_bits(x) - 0x3f3504f3u;
    int32_t k = (int32_t)above >> 23;
    float f = math_float_from_bits(math_float_bits(x) - ((uint32_t)k << 23)) - 1;
    /* log(1 + f) = 2 artanh(s), s = f / (2 + f); see base/math.c. Powers up to 11 leave 2e-10. */
    float s = f / (2 + f), square = s * s;
    float r = 2.0f / 11;
    r = fmaf(r, square, 2.0f / 9);
    r = fmaf(r, square, 2.0f / 7);
    r = fmaf(r, square, 2.0f / 5);
    r = fmaf(r, square, 2.0f / 3);
    r *= square;
    float half = 0.5f * f * f;
    float small = fmaf((float)k, 0x1.7f7d1cp-20f, s * (half + r));
    float result = fmaf((float)k, 0x1.62e4p-1f, f - (half - small));
    result = x < 0x1p-126f ? -INFINITY : result;
    result = x <= -0x1p-126f ? NAN : result;
    result = x == INFINITY ? INFINITY : result;
    return x != x ? x : result;
}

/* log(1 + x) for 0 <= x <= 1: what 1 + x loses to rounding is made good by the ratio of the two. */
static inline float math_float_log1p(float x) {
    float u = 1 + x;
    float ratio = x / (u == 1 ? 1 : u - 1);
    float result = math_float_log(u) * ratio;
    return u == 1 ? x : result;
}

#endif
