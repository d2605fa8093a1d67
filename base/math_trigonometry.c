#include "base/math.h"
#include "base/math_double_double.h"

#define ROUNDER 0x1.8p52
#define LIMIT   0x1p20

/* x = n pi/2 + r, |r| <= pi/4; returns n mod 4. Pi/2 in pieces of 33 bits (Cody and Waite 1980):
 * their products with n, below 2^20, are exact, and what is left out is below 2^-130. */
static int reduce(struct double_double *r, double x) {
    double n = x * 0x1.45f306dc9c883p-1 + ROUNDER;
    n -= ROUNDER;
    *r = (struct double_double){x - n * 0x1.921fb544p+0, 0};
    *r = double_double_add(*r, (struct double_double){-n * 0x1.0b4611a6p-34, 0});
    *r = double_double_add(*r, (struct double_double){-n * 0x1.3198a2ep-69, 0});
    *r = double_double_add(*r, (struct double_double){-n * 0x1.b839a252049c1p-104, 0});
    return (int)((long)n & 3);
}

/* Taylor to the 17th power; leaves 8e-20. */
static double sine(struct double_double r) {
    double x = r.high, square = x * x;
    if (x < 0x1p-27 && x > -0x1p-27) {
        return x; /* the next term, x^3 / 6, is below half an ulp */
    }
    double q = 1.0 / 355687428096000.0;
    q = q * square - 1.0 / 1307674368000.0;
    q = q * square + 1.0 / 6227020800.0;
    q = q * square - 1.0 / 39916800.0;
    q = q * square + 1.0 / 362880.0;
    q = q * square - 1.0 / 5040.0;
    q = q * square + 1.0 / 120.0;
    q = q * square - 1.0 / 6.0;
    return x + (square * x * q + r.low * (1 - 0.5 * square));
}

/* Taylor to the 18th power; leaves 3e-21. */
static double cosine(struct double_double r) {
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

static double sine_of_quadrant(int quadrant, struct double_double r) {
    double value = quadrant & 1 ? cosine(r) : sine(r);
    return quadrant & 2 ? -value : value;
}

double math_sin(double x) {
    if (!(x <= LIMIT && x >= -LIMIT)) {
        return NAN;
    }
    struct double_double r;
    int quadrant = reduce(&r, x);
    return sine_of_quadrant(quadrant, r);
}

double math_cos(double x) {
    if (!(x <= LIMIT && x >= -LIMIT)) {
        return NAN;
    }
    struct double_double r;
    int quadrant = reduce(&r, x);
    return sine_of_quadrant((quadrant + 1) & 3, r);
}
