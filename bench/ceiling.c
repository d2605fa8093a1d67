#include "ceiling.h"

#include <math.h>

#define SUMS                                                                                       \
    S(0)                                                                                           \
    S(1) S(2) S(3) S(4) S(5) S(6) S(7) S(8) S(9) S(10) S(11)

/* Where the sums go, so that no compiler leaves them out. */
static volatile float sink;

#if defined(__x86_64__)
#include <immintrin.h>

__attribute__((target("avx512f"))) static double run_avx512(long rounds) {
    __m512 x = _mm512_set1_ps(0.999999f), y = _mm512_set1_ps(1e-6f);
#define S(i) __m512 sum##i = _mm512_set1_ps((float)i);
    SUMS
#undef S
        for (long r = 0; r < 2 * rounds; r++) {
#define S(i) sum##i = _mm512_fmadd_ps(sum##i, x, y);
        SUMS
#undef S
    }
#define S(i) sink = _mm512_cvtss_f32(sum##i);
    SUMS
#undef S
        return (double)rounds *
        24 * 2 * 16;
}

__attribute__((target("avx2,fma"))) static double run_avx2(long rounds) {
    __m256 x = _mm256_set1_ps(0.999999f), y = _mm256_set1_ps(1e-6f);
#define S(i) __m256 sum##i = _mm256_set1_ps((float)i);
    SUMS
#undef S
        for (long r = 0; r < 2 * rounds; r++) {
#define S(i) sum##i = _mm256_fmadd_ps(sum##i, x, y);
        SUMS
#undef S
    }
#define S(i) sink = _mm256_cvtss_f32(sum##i);
    SUMS
#undef S
        return (double)rounds *
        24 * 2 * 8;
}
#endif

static double run_scalar(long rounds) {
    float x = 0.999999f, y = 1e-6f;
#define S(i) float sum##i = (float)i;
    SUMS
#undef S
        for (long r = 0; r < 2 * rounds; r++) {
#define S(i) sum##i = fmaf(sum##i, x, y);
        SUMS
#undef S
    }
#define S(i) sink = sum##i;
    SUMS
#undef S
        return (double)rounds *
        24 * 2;
}

double ceiling_run(enum cpu_isa isa, long rounds) {
    switch (isa) {
#if defined(__x86_64__)
    case CPU_ISA_AVX512: return run_avx512(rounds);
    case CPU_ISA_AVX2: return run_avx2(rounds);
#endif
    default: return run_scalar(rounds);
    }
}
