#include "base/cpu.h"
#include "base/math.h"
#include "support/support.h"

#include <fenv.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* The oracle is libm in long double (64 bits of mantissa). */

static double uniform(double low, double high) {
    double fraction = ((double)test_random() + test_random() * 0x1p-32) * 0x1p-32;
    return low + (high - low) * fraction;
}

/* Any size, from 2^low to 2^high. */
static double of_any_size(int low, int high) {
    return ldexp(uniform(1, 2), test_random_between(low, high - 1));
}

static double error_in_ulp(double value, long double expected) {
    if ((long double)value == expected) {
        return 0;
    }
    int exponent;
    frexpl(expected, &exponent);
    long double ulp = ldexpl(1, (exponent < -1021 ? -1021 : exponent) - DBL_MANT_DIG);
    return (double)fabsl((value - expected) / ulp);
}

static double largest;
static double largest_at;
static void compare(double value, long double expected, double at) {
    double error = error_in_ulp(value, expected);
    if (!(error <= largest)) {
        largest = error;
        largest_at = at;
    }
}
static void assert_below(double limit, const char *name) {
    printf("\n  %s: at most %.3f ulp, at %.17g", name, largest, largest_at);
    CU_ASSERT_TRUE(largest < limit);
    largest = 0;
}

static void test_math__exp_is_close(void) {
    for (int i = 0; i < 100000; i++) {
        double x = uniform(-708.3, 709.7);
        compare(math_exp(x), expl(x), x);
        x = uniform(-1, 1);
        compare(math_exp(x), expl(x), x);
        x = of_any_size(-60, 0);
        compare(math_exp(x), expl(x), x);
        compare(math_exp(-x), expl(-x), -x);
    }
    assert_below(1, "exp");
}

static void test_math__log_is_close(void) {
    for (int i = 0; i < 100000; i++) {
        double x = of_any_size(-1022, 1024);
        compare(math_log(x), logl(x), x);
        x = uniform(0.5, 2);
        compare(math_log(x), logl(x), x);
        x = 1 + of_any_size(-52, -1);
        compare(math_log(x), logl(x), x);
        compare(math_log(2 - x), logl(2 - x), 2 - x);
    }
    assert_below(1, "log");
}

static void test_math__pow_is_close(void) {
    for (int i = 0; i < 30000; i++) {
        double x = of_any_size(-1022, 1024);
        double y = uniform(-700, 700) / log(x);
        /* powl itself is good to about 1e-19 here. */
        compare(math_pow(x, y), powl(x, y), x);
        x = uniform(0, 3);
        y = uniform(-20, 20);
        compare(math_pow(x, y), powl(x, y), x);
        x = 1 - of_any_size(-40, -3);
        y = uniform(0, 700) / -log(x);
        compare(math_pow(x, y), powl(x, y), x);
    }
    assert_below(1, "pow");
    CU_ASSERT_EQUAL(math_pow(10, 2), 100);
    CU_ASSERT_EQUAL(math_pow(2, -1022), DBL_MIN);
    CU_ASSERT_EQUAL(math_pow(0.5, 10), 0x1p-10);
    CU_ASSERT_EQUAL(math_pow(9, 0.5), 3);
}

static void test_math__sin_and_cos_are_close(void) {
    for (int i = 0; i < 60000; i++) {
        double limits[] = {1, 7, 1000, 0x1p20};
        for (int k = 0; k < 4; k++) {
            double x = uniform(-limits[k], limits[k]);
            compare(math_sin(x), sinl(x), x);
            compare(math_cos(x), cosl(x), x);
        }
        double x = of_any_size(-60, 0);
        compare(math_sin(x), sinl(x), x);
        /* Next to the zeros, where the reduction cancels. */
        x = (double)(test_random_between(1, 660000) * (MATH_PI / 2));
        compare(math_sin(x), sinl(x), x);
        compare(math_cos(x), cosl(x), x);
    }
    assert_below(1, "sin, cos");
}

static void test_math__tanh_is_close(void) {
    for (int i = 0; i < 100000; i++) {
        double x = uniform(-25, 25);
        compare(math_tanh(x), tanhl(x), x);
        x = uniform(-1, 1);
        compare(math_tanh(x), tanhl(x), x);
        x = of_any_size(-1022, 0);
        compare(math_tanh(x), tanhl(x), x);
    }
    assert_below(1, "tanh");
}

static void test_math__special_values_follow_c(void) {
    double infinite = INFINITY;
    CU_ASSERT_EQUAL(math_exp(0), 1);
    CU_ASSERT_EQUAL(math_exp(-infinite), 0);
    CU_ASSERT_EQUAL(math_exp(infinite), infinite);
    CU_ASSERT_EQUAL(math_exp(709.79), infinite);
    CU_ASSERT_TRUE(isfinite(math_exp(709.78)));
    CU_ASSERT_EQUAL(math_exp(-708.5), 0);
    CU_ASSERT_EQUAL(math_log(1), 0);
    CU_ASSERT_EQUAL(math_log(0), -infinite);
    CU_ASSERT_EQUAL(math_log(-0.0), -infinite);
    CU_ASSERT_EQUAL(math_log(infinite), infinite);
    CU_ASSERT_TRUE(isnan(math_log(-1)));
    CU_ASSERT_TRUE(isnan(math_log(-infinite)));
    CU_ASSERT_EQUAL(math_tanh(infinite), 1);
    CU_ASSERT_EQUAL(math_tanh(-infinite), -1);
    CU_ASSERT_EQUAL(math_tanh(0), 0);
    CU_ASSERT_EQUAL(math_sin(0), 0);
    CU_ASSERT_EQUAL(math_cos(0), 1);
    CU_ASSERT_TRUE(isnan(math_sin(infinite)));
    CU_ASSERT_TRUE(isnan(math_cos(1e7)));
    CU_ASSERT_TRUE(isnan(math_exp(NAN)) && isnan(math_log(NAN)) && isnan(math_tanh(NAN)) &&
                   isnan(math_sin(NAN)) && isnan(math_cos(NAN)) && isnan(math_pow(NAN, 2)) &&
                   isnan(math_pow(2, NAN)) && isnan(math_pow(-1, 2)));
    double values[] = {0, 0.5, 1, 2, infinite};
    double powers[] = {-infinite, -2, -0.5, 0, 0.5, 3, infinite, 1e300, -1e300};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        for (size_t k = 0; k < sizeof powers / sizeof powers[0]; k++) {
            double expected = pow(values[i], powers[k]), value = math_pow(values[i], powers[k]);
            CU_ASSERT_TRUE(error_in_ulp(value, expected) <= 1);
            if (!(error_in_ulp(value, expected) <= 1)) {
                printf("\n  pow(%g, %g) = %g", values[i], powers[k], value);
            }
        }
    }
    CU_ASSERT_EQUAL(math_pow(NAN, 0), 1);
    CU_ASSERT_EQUAL(math_pow(1, NAN), 1);
}

static uint64_t mixed(uint64_t sum, double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return (sum ^ bits) * 0x9e3779b97f4a7c15u + (sum >> 31);
}

static uint64_t digest_of_many(void) {
    uint64_t sum = 1;
    for (int i = 0; i < 20000; i++) {
        double x = 0.37 * i - 3000, small = ldexp(1.1 + 0.00001 * i, -1074 + i % 1100);
        sum = mixed(sum, math_exp(x / 4));
        sum = mixed(sum, math_log(small));
        sum = mixed(sum, math_pow(0.001 * i, x / 100));
        sum = mixed(sum, math_sin(x));
        sum = mixed(sum, math_cos(x * 100));
        sum = mixed(sum, math_tanh(x / 300));
        sum = mixed(sum, math_tanh(small));
        sum = mixed(sum, math_pow(small, 0.9));
    }
    return sum;
}

static void test_math__the_bits_are_those_of_every_machine(void) {
    const uint64_t expected = 0x842ebedd4e5ed66d;
    uint64_t sum = digest_of_many();
    CU_ASSERT_EQUAL(sum, expected);
    printf("\n  digest 0x%016llx", (unsigned long long)sum);
    /* Nor do they depend on how the thread treats denormals. */
    fenv_t environment;
    fegetenv(&environment);
    cpu_flush_denormals();
    CU_ASSERT_EQUAL(digest_of_many(), sum);
    fesetenv(&environment);
}

TEST_MAIN("math", TEST(test_math__exp_is_close), TEST(test_math__log_is_close),
    TEST(test_math__pow_is_close), TEST(test_math__sin_and_cos_are_close),
    TEST(test_math__tanh_is_close), TEST(test_math__special_values_follow_c),
    TEST(test_math__the_bits_are_those_of_every_machine))
