#include "base/math.h"
#include "base/math_double.h"

#define LIMIT 0x1p20

double math_sin(double x) {
    double sine, cosine;
    math_double_sine_cosine(&sine, &cosine, x);
    return x <= LIMIT && x >= -LIMIT ? sine : NAN;
}

double math_cos(double x) {
    double sine, cosine;
    math_double_sine_cosine(&sine, &cosine, x);
    return x <= LIMIT && x >= -LIMIT ? cosine : NAN;
}
