/* Numbers of twice the precision of a double, as an unevaluated sum high + low (Dekker 1971): what
 * base/math needs where one double is too coarse. Private to base/.
 */
#ifndef BASE_MATH_DOUBLE_DOUBLE_H
#define BASE_MATH_DOUBLE_DOUBLE_H

#include <math.h>

struct double_double {
    double high, low;
};

/* a + b without error (Knuth 1969). */
static inline struct double_double exact_sum(double a, double b) {
    double sum = a + b;
    double b_rounded = sum - a;
    double a_rounded = sum - b_rounded;
    return (struct double_double){sum, (a - a_rounded) + (b - b_rounded)};
}

/* a * b without error. */
static inline struct double_double exact_product(double a, double b) {
    double product = a * b;
    return (struct double_double){product, fma(a, b, -product)};
}

static inline struct double_double double_double_add(
    struct double_double a, struct double_double b) {
    struct double_double sum = exact_sum(a.high, b.high);
    return exact_sum(sum.high, sum.low + (a.low + b.low));
}

static inline struct double_double double_double_multiply(
    struct double_double a, struct double_double b) {
    struct double_double product = exact_product(a.high, b.high);
    return exact_sum(product.high, product.low + (a.high * b.low + a.low * b.high));
}

static inline struct double_double double_double_divide(
    struct double_double a, struct double_double b) {
    double quotient = a.high / b.high;
    double rest = fma(-quotient, b.high, a.high) + a.low - quotient * b.low;
    return exact_sum(quotient, rest / b.high);
}

#endif
