#include "worker/exchange/vector.h"

#include <string.h>

void vector_add(float *sum, const float *a, const float *b, size_t count) {
#pragma omp simd
    for (size_t i = 0; i < count; i++) {
        sum[i] = a[i] + b[i];
    }
}

void vector_copy(float *to, const float *from, size_t count) {
    if (to != from && count > 0) {
        memcpy(to, from, count * sizeof *to);
    }
}
