/* exp, log, pow, cos, sin and tanh with the same bits on every machine: built from + * / fma and
 * sqrt alone, which IEEE 754 rounds correctly everywhere. Anything that ends in a weight uses
 * these and never libm. Errors are below 2 ulp (doubles) unless said otherwise; each is checked in
 * tests/base/test_math.c against the long double functions of libm.
 *
 * Special values follow C: exp(-inf) = 0, log(0) = -inf, NaN in, NaN out; but denormal arguments
 * and results count as zero, so that the bits do not depend on whether the thread flushes them.
 * Sine and cosine of more than 2^20 are NaN.
 */
#ifndef BASE_MATH_H
#define BASE_MATH_H

double math_exp(double x);
double math_log(double x);
double math_pow(double x, double y); /* x >= 0 */
double math_cos(double x);           /* |x| <= 2^20 */
double math_sin(double x);           /* |x| <= 2^20 */
double math_tanh(double x);

#define MATH_PI 3.14159265358979323846

#endif
