#include "worker/norms.h"

#include <math.h>

double norms_square_sum(const float *values, size_t count) {
    double lane[16] = {0};
    for (size_t i = 0; i < count; i += 16) {
#pragma omp simd
        for (int l = 0; l < 16; l++) {
            double value = (double)values[i + (size_t)l];
            lane[l] += value * value;
        }
    }
    for (int half = 8; half >= 1; half /= 2) {
        for (int l = 0; l < half; l++) {
            lane[l] += lane[l + half];
        }
    }
    return lane[0];
}

/* Going along the vector, the block or the parameter or both are another: their sum grows. */
size_t norms_place(size_t element, int parameter) {
    return element / NORMS_BLOCK + (size_t)parameter;
}

size_t norms_places(const struct net *net) {
    return norms_place(net_vector_size(net), net_parameter_count(net)) + 1;
}

/* The sum over `count` places by halves. */
static double fold(double (*sums)[NORMS], size_t count, int which) {
    if (count == 1) {
        return sums[0][which];
    }
    size_t left = count - count / 2;
    return fold(sums, left, which) + fold(sums + left, count - left, which);
}

void norms_of_parameters(double (*norm)[NORMS], double (*sums)[NORMS], const struct net *net) {
    for (int p = 0; p < net_parameter_count(net); p++) {
        const struct parameter *parameter = net_parameter(net, p);
        size_t first = norms_place(parameter->offset, p);
        size_t last = norms_place(parameter->offset + parameter->packed - 1, p);
        for (int which = 0; which < NORMS; which++) {
            norm[p][which] = parameter->kind == PARAMETER_STATISTIC
                                 ? 0
                                 : sqrt(fold(sums + first, last - first + 1, which));
        }
    }
}

double norms_over_all(double (*norm)[NORMS], int parameters) {
    double sum = 0;
    for (int p = 0; p < parameters; p++) {
        sum += norm[p][0] * norm[p][0];
    }
    return sqrt(sum);
}
