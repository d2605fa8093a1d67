#include "base/math.h"

#include "base/math_double.h"

#include <stdbool.h>

/* Results and arguments below the smallest normal number count as zero, by tests on their bits:
 * whether a thread flushes denormals must not show. */

#define NOT_A_NUMBER ((double)NAN)
#define INFINITE     ((double)INFINITY)
#define LOG2_E       0x1.71547652b82fep+0
#define EXP_HIGHEST  0x1.62e42fefa39efp+9  /* 1024 ln 2 */
#define EXP_LOWEST   -0x1.6232bdd7abcd2p+9 /* -1022 ln 2 */

static int exponent_of(double x) {
    return (int)(math_double_bits(x) >> 52 & 0x7ff);
}

static double power_of_two(int exponent) {
    return math_double_from_bits((uint64_t)(exponent + 1023) << 52);
}

/* e^x = 2^k (1 + p): the reduction shared by exp, tanh and pow. `low` is a small part of the
 * argument beyond x. |x| < 2000. */
static struct double_double reduced_exp(int *k, double x, double low) {
    double whole = x * LOG2_E + MATH_DOUBLE_ROUNDER;
    whole -= MATH_DOUBLE_ROUNDER;
    *k = (int)whole;
    double high = x - whole * MATH_DOUBLE_LN2_HIGH;
    struct double_double r = exact_sum(high, low - whole * MATH_DOUBLE_LN2_LOW);
    /* Taylor to the 13th power; |r| <= ln(2) / 2 leaves 4e-18. */
    double q = 1.0 / 6227020800.0;
    q = q * r.high + 1.0 / 479001600.0;
    q = q * r.high + 1.0 / 39916800.0;
    q = q * r.high + 1.0 / 3628800.0;
    q = q * r.high + 1.0 / 362880.0;
    q = q * r.high + 1.0 / 40320.0;
    q = q * r.high + 1.0 / 5040.0;
    q = q * r.high + 1.0 / 720.0;
    q = q * r.high + 1.0 / 120.0;
    q = q * r.high + 1.0 / 24.0;
    q = q * r.high + 1.0 / 6.0;
    q = q * r.high + 0.5;
    return exact_sum(r.high, r.low + r.high * (r.high * q + r.low));
}

static double scaled_exp(double x, double low) {
    if (x != x) {
        return x;
    }
    if (x > EXP_HIGHEST) {
        return INFINITE;
    }
    if (x < EXP_LOWEST) {
        return 0;
    }
    int k;
    struct double_double p = reduced_exp(&k, x, low);
    struct double_double result = exact_sum(1, p.high);
    double mantissa = result.high + (result.low + p.low);
    /* In two steps: 2^1024 is no double. */
    double scaled = mantissa * power_of_two(k / 2) * power_of_two(k - k / 2);
    return exponent_of(scaled) == 0 ? 0 : scaled;
}

double math_exp(double x) {
    return scaled_exp(x, 0);
}

double math_log(double x) {
    if (x != x) {
        return x;
    }
    if (exponent_of(x) == 0) {
        return -INFINITE;
    }
    if (x < 0) {
        return NOT_A_NUMBER;
    }
    if (x == INFINITE) {
        return x;
    }
    return math_double_log(x);
}

/* log(x) to about 100 bits; x positive and normal. */
static struct double_double precise_log(double x) {
    static const struct double_double ln2 = {0x1.62e42fefa39efp-1, 0x1.abc9e3b39803fp-56};
    double k, f = math_double_reduced_log(&k, x);
    struct double_double s = double_double_divide((struct double_double){f, 0}, exact_sum(2, f));
    struct double_double square = double_double_multiply(s, s);
    struct double_double sum = {0, 0};
    for (int power = 41; power >= 1; power -= 2) {
        struct double_double term =
            double_double_divide((struct double_double){2, 0}, (struct double_double){power, 0});
        sum = double_double_add(double_double_multiply(sum, square), term);
    }
    return double_double_add(
        double_double_multiply(sum, s), double_double_multiply(ln2, (struct double_double){k, 0}));
}

double math_pow(double x, double y) {
    bool x_is_zero = exponent_of(x) == 0, x_is_infinite = x == INFINITE;
    if (exponent_of(y) == 0 || x == 1) {
        return 1;
    }
    if (x != x || y != y || (x < 0 && !x_is_zero)) {
        return NOT_A_NUMBER;
    }
    if (x_is_zero || x_is_infinite) {
        return x_is_zero == (y > 0) ? 0 : INFINITE;
    }
    if (y == INFINITE || y == -INFINITE) {
        return (x > 1) == (y > 0) ? INFINITE : 0;
    }
    struct double_double log_x = precise_log(x);
    double rough = y * log_x.high;
    if (!(rough < 1000 && rough > -1000)) {
        return rough > 0 ? INFINITE : 0;
    }
    struct double_double product = double_double_multiply(log_x, (struct double_double){y, 0});
    return scaled_exp(product.high, product.low);
}

double math_tanh(double x) {
    double size = x < 0 ? -x : x;
    if (exponent_of(x) == 0) {
        return 0;
    }
    if (x != x || size < 0x1p-28) {
        return x; /* the next term, x^3 / 3, is below half an ulp */
    }
    double result = 1;
    if (size < 22) {
        /* tanh = e / (e + 2), e = exp(2 |x|) - 1 = (2^k - 1) + 2^k p. */
        int k;
        struct double_double p = reduced_exp(&k, 2 * size, 0);
        double scale = power_of_two(k);
        struct double_double e = exact_sum(scale - 1, scale * p.high);
        e = exact_sum(e.high, e.low + scale * p.low);
        struct double_double below = double_double_add(e, (struct double_double){2, 0});
        struct double_double quotient = double_double_divide(e, below);
        result = quotient.high + quotient.low;
    }
    return x < 0 ? -result : result;
}
