#include "base/cpu.h"
#include "base/math_float.h"
#include "support/support.h"

#include <float.h>
#include <stdio.h>

/* Over the sides on which they are defined. */
static inline __attribute__((always_inline)) float math_float_expm1_below(float x) {
    return math_float_expm1(x > 0 ? -x : x);
}
static double expm1_below(double x) {
    return expm1(-fabs(x));
}
static inline __attribute__((always_inline)) float math_float_log1p_inside(float x) {
    float size = x < 0 ? -x : x;
    return math_float_log1p(size > 1 ? 1 / size : size);
}
static double log1p_inside(double x) {
    return log1p(fabs(x) > 1 ? (double)(1 / fabsf((float)x)) : fabs(x));
}

/* The functions compiled for each instruction set, as kernels will. */
typedef void loop(float *out, const float *in, int count);

#define LOOP(name, suffix, attribute)                                                              \
    attribute static void name##_##suffix(float *out, const float *in, int count) {                \
        for (int i = 0; i < count; i++) {                                                          \
            out[i] = math_float_##name(in[i]);                                                     \
        }                                                                                          \
    }
#define LOOPS(suffix, attribute)                                                                   \
    LOOP(exp, suffix, attribute)                                                                   \
    LOOP(log, suffix, attribute)                                                                   \
    LOOP(tanh, suffix, attribute)                                                                  \
    LOOP(logistic, suffix, attribute)                                                              \
    LOOP(expm1_below, suffix, attribute)                                                           \
    LOOP(log1p_inside, suffix, attribute)

LOOPS(portable, )
#if defined(__x86_64__)
LOOPS(avx2, __attribute__((target("avx2,fma"))))
LOOPS(avx512, __attribute__((target("avx512f,avx512vl,avx512dq,avx512bw,fma"))))
#define ROW(name)                                                                                  \
    {                                                                                              \
        [CPU_ISA_PORTABLE] = name##_portable, [CPU_ISA_AVX2] = name##_avx2,                        \
        [CPU_ISA_AVX512] = name##_avx512                                                           \
    }
#else
#define ROW(name)                                                                                  \
    { [CPU_ISA_PORTABLE] = name##_portable }
#endif

static double logistic(double x) {
    return 1 / (1 + exp(-x));
}

static const struct {
    const char *name;
    loop *loops[CPU_ISA_COUNT];
    double (*reference)(double);
    double limit; /* ulp */
    uint64_t digest;
} functions[] = {
    {"exp", ROW(exp), exp, 2, 0xfbb19803d07411dc},
    {"log", ROW(log), log, 2, 0x9afd7e9bea54f067},
    {"tanh", ROW(tanh), tanh, 3, 0xcb9a6c7d536ee0d1},
    {"logistic", ROW(logistic), logistic, 3, 0x40fd946ee40af88e},
    {"expm1", ROW(expm1_below), expm1_below, 3, 0xdda8a548a003c5c6},
    {"log1p", ROW(log1p_inside), log1p_inside, 3, 0xb335019df7957a14},
};
#define FUNCTIONS (int)(sizeof functions / sizeof functions[0])

#define BATCH  1024
#define STRIDE 4091 /* prime: over all floats, every size of every sign */

/* Floats number `batch` * BATCH on, `STRIDE` apart; returns how many. */
static int fill(float *in, int64_t batch) {
    int count = 0;
    for (; count < BATCH; count++) {
        int64_t bits = (batch * BATCH + count) * STRIDE;
        if (bits > UINT32_MAX) {
            break;
        }
        in[count] = math_float_from_bits((uint32_t)bits);
    }
    return count;
}

static double error_in_ulp(float value, double expected) {
    int exponent;
    frexp(expected, &exponent);
    return fabs(value - expected) / ldexp(1, exponent - FLT_MANT_DIG);
}

static void test_math_float__errors_are_small_over_all_floats(void) {
    for (int f = 0; f < FUNCTIONS; f++) {
        float in[BATCH], out[BATCH];
        double largest = 0;
        float at = 0;
        int count;
        for (int64_t batch = 0; (count = fill(in, batch)) > 0; batch++) {
            functions[f].loops[CPU_ISA_PORTABLE](out, in, count);
            for (int i = 0; i < count; i++) {
                double expected = functions[f].reference(in[i]);
                if (fabsf(in[i]) < FLT_MIN && functions[f].reference == log) {
                    CU_ASSERT_TRUE(isinf(out[i]) && out[i] < 0); /* denormals count as zero */
                } else if (isnan(expected)) {
                    CU_ASSERT_TRUE(isnan(out[i]));
                } else if (fabs(expected) > FLT_MAX) {
                    CU_ASSERT_TRUE(isinf(out[i]) && (out[i] > 0) == (expected > 0));
                } else if (fabs(expected) < FLT_MIN) {
                    CU_ASSERT_TRUE(fabsf(out[i]) <= FLT_MIN);
                } else if (!(error_in_ulp(out[i], expected) <= largest)) {
                    largest = error_in_ulp(out[i], expected);
                    at = in[i];
                }
            }
        }
        printf("\n  %s: at most %.3f ulp, at %.9g", functions[f].name, largest, (double)at);
        CU_ASSERT_TRUE(largest < functions[f].limit);
    }
}

static void test_math_float__special_values(void) {
    const float infinite = INFINITY;
    CU_ASSERT_EQUAL(math_float_exp(0), 1);
    CU_ASSERT_EQUAL(math_float_exp(-infinite), 0);
    CU_ASSERT_EQUAL(math_float_exp(infinite), infinite);
    CU_ASSERT_TRUE(isfinite(math_float_exp(88.7228f)) && isinf(math_float_exp(88.7229f)));
    CU_ASSERT_EQUAL(math_float_log(1), 0);
    CU_ASSERT_EQUAL(math_float_log(0), -infinite);
    CU_ASSERT_EQUAL(math_float_log(infinite), infinite);
    CU_ASSERT_EQUAL(math_float_tanh(infinite), 1);
    CU_ASSERT_EQUAL(math_float_tanh(-infinite), -1);
    CU_ASSERT_TRUE(math_float_tanh(-0.0f) == 0 && signbit(math_float_tanh(-0.0f)));
    CU_ASSERT_EQUAL(math_float_logistic(0), 0.5f);
    CU_ASSERT_EQUAL(math_float_logistic(-infinite), 0);
    CU_ASSERT_EQUAL(math_float_logistic(infinite), 1);
    CU_ASSERT_TRUE(isnan(math_float_exp(NAN)) && isnan(math_float_log(NAN)) &&
                   isnan(math_float_tanh(NAN)) && isnan(math_float_logistic(NAN)) &&
                   isnan(math_float_log(-1)) && isnan(math_float_log(-infinite)));
}

static void test_math_float__every_instruction_set_gives_the_same_bits(void) {
    for (int f = 0; f < FUNCTIONS; f++) {
        float in[BATCH], out[BATCH], other[BATCH];
        uint64_t digest = 1;
        int count;
        for (int64_t batch = 0; (count = fill(in, batch)) > 0; batch++) {
            functions[f].loops[CPU_ISA_PORTABLE](out, in, count);
            for (int i = 0; i < count; i++) {
                /* A NaN may carry any payload and sign. */
                uint32_t bits = isnan(out[i]) ? 0x7fc00000u : math_float_bits(out[i]);
                digest = (digest ^ bits) * 0x9e3779b97f4a7c15u + (digest >> 31);
            }
            CPU_FOR_EACH_ISA (isa) {
                CU_ASSERT_PTR_NOT_NULL_FATAL(functions[f].loops[isa]);
                functions[f].loops[isa](other, in, count);
                for (int i = 0; i < count; i++) {
                    CU_ASSERT_TRUE(math_float_bits(out[i]) == math_float_bits(other[i]) ||
                                   (isnan(out[i]) && isnan(other[i])));
                }
            }
        }
        CU_ASSERT_EQUAL(digest, functions[f].digest);
        if (digest != functions[f].digest) {
            printf("\n  %s: 0x%016llx", functions[f].name, (unsigned long long)digest);
        }
    }
}

TEST_MAIN("math_float", TEST(test_math_float__errors_are_small_over_all_floats),
    TEST(test_math_float__special_values),
    TEST(test_math_float__every_instruction_set_gives_the_same_bits))
