/* AVX-512 (F, VL, DQ, BW): v16 is one register. */
#include "worker/kernels/instruction_sets.h"
#include "worker/kernels/vector.h"

#include <immintrin.h>

typedef __m512 v16;

KERNEL_INLINE v16 v16_zero(void) {
    return _mm512_setzero_ps();
}
KERNEL_INLINE v16 v16_set1(float x) {
    return _mm512_set1_ps(x);
}
KERNEL_INLINE v16 v16_load(const float *p) {
    return _mm512_load_ps(p);
}
KERNEL_INLINE v16 v16_loadu(const float *p) {
    return _mm512_loadu_ps(p);
}
KERNEL_INLINE void v16_store(float *p, v16 a) {
    _mm512_store_ps(p, a);
}
KERNEL_INLINE void v16_storeu(float *p, v16 a) {
    _mm512_storeu_ps(p, a);
}
KERNEL_INLINE v16 v16_add(v16 a, v16 b) {
    return _mm512_add_ps(a, b);
}
KERNEL_INLINE v16 v16_sub(v16 a, v16 b) {
    return _mm512_sub_ps(a, b);
}
KERNEL_INLINE v16 v16_mul(v16 a, v16 b) {
    return _mm512_mul_ps(a, b);
}
KERNEL_INLINE v16 v16_div(v16 a, v16 b) {
    return _mm512_div_ps(a, b);
}
KERNEL_INLINE v16 v16_fma(v16 a, v16 b, v16 c) {
    return _mm512_fmadd_ps(a, b, c);
}
KERNEL_INLINE v16 v16_fnma(v16 a, v16 b, v16 c) {
    return _mm512_fnmadd_ps(a, b, c);
}
KERNEL_INLINE v16 v16_sqrt(v16 a) {
    return _mm512_sqrt_ps(a);
}
KERNEL_INLINE v16 v16_max(v16 a, v16 b) {
    return _mm512_max_ps(a, b);
}
KERNEL_INLINE v16 v16_min(v16 a, v16 b) {
    return _mm512_min_ps(a, b);
}
KERNEL_INLINE v16 v16_select_greater(v16 a, v16 b, v16 x, v16 y) {
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_GT_OQ), y, x);
}
KERNEL_INLINE v16 v16_bits_from(uint32_t from, v16 a) {
    __m512i quarter = _mm512_srli_epi32(_mm512_castps_si512(a), 2);
    return _mm512_castsi512_ps(_mm512_sub_epi32(_mm512_set1_epi32((int)from), quarter));
}
KERNEL_INLINE v16 v16_where_byte(const uint8_t *p, uint8_t byte, v16 a) {
    __m128i bytes = _mm_loadu_si128((const __m128i *)p);
    return _mm512_maskz_mov_ps(_mm_cmpeq_epi8_mask(bytes, _mm_set1_epi8((char)byte)), a);
}
KERNEL_INLINE v16 v16_beside(v16 a, v16 b, int first) {
    const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    return _mm512_permutex2var_ps(a, _mm512_add_epi32(lane, _mm512_set1_epi32(first)), b);
}
KERNEL_INLINE v16 v16_first(v16 a, int count) {
    return _mm512_maskz_mov_ps((__mmask16)((1u << count) - 1), a);
}
typedef __m128i b16;

KERNEL_INLINE b16 b16_set1(int x) {
    return _mm_set1_epi8((char)x);
}
KERNEL_INLINE b16 b16_add(b16 a, b16 b) {
    return _mm_add_epi8(a, b);
}
KERNEL_INLINE b16 b16_min(b16 a, b16 b) {
    return _mm_min_epu8(a, b);
}
KERNEL_INLINE b16 b16_select_greater(v16 a, v16 b, b16 x, b16 y) {
    return _mm_mask_blend_epi8(_mm512_cmp_ps_mask(a, b, _CMP_GT_OQ), y, x);
}
KERNEL_INLINE void b16_store(uint8_t *p, b16 a) {
    _mm_storeu_si128((__m128i *)p, a);
}

KERNEL_INLINE float v16_sum(v16 a) {
    __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1));
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

/* By 4 x 4 blocks inside each quarter of the registers, then the quarters themselves. */
KERNEL_INLINE void v16_transpose(float *out, ptrdiff_t out_row, const float *in, ptrdiff_t in_row) {
    v16 quarter[16]; /* quarter[4i + j], part g: rows 4i .. 4i+3 of column 4g + j */
    for (int i = 0; i < 4; i++, in += 4 * in_row) {
        v16 a = v16_load(in), b = v16_load(in + in_row), c = v16_load(in + 2 * in_row);
        v16 d = v16_load(in + 3 * in_row);
        __m512d low_ab = _mm512_castps_pd(_mm512_unpacklo_ps(a, b));
        __m512d low_cd = _mm512_castps_pd(_mm512_unpacklo_ps(c, d));
        __m512d high_ab = _mm512_castps_pd(_mm512_unpackhi_ps(a, b));
        __m512d high_cd = _mm512_castps_pd(_mm512_unpackhi_ps(c, d));
        quarter[4 * i] = _mm512_castpd_ps(_mm512_unpacklo_pd(low_ab, low_cd));
        quarter[4 * i + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(low_ab, low_cd));
        quarter[4 * i + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(high_ab, high_cd));
        quarter[4 * i + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(high_ab, high_cd));
    }
    for (int j = 0; j < 4; j++, out += out_row) {
        v16 even_a = _mm512_shuffle_f32x4(quarter[j], quarter[4 + j], 0x88);
        v16 even_b = _mm512_shuffle_f32x4(quarter[8 + j], quarter[12 + j], 0x88);
        v16 odd_a = _mm512_shuffle_f32x4(quarter[j], quarter[4 + j], 0xdd);
        v16 odd_b = _mm512_shuffle_f32x4(quarter[8 + j], quarter[12 + j], 0xdd);
        v16_store(out, _mm512_shuffle_f32x4(even_a, even_b, 0x88));
        v16_store(out + 4 * out_row, _mm512_shuffle_f32x4(odd_a, odd_b, 0x88));
        v16_store(out + 8 * out_row, _mm512_shuffle_f32x4(even_a, even_b, 0xdd));
        v16_store(out + 12 * out_row, _mm512_shuffle_f32x4(odd_a, odd_b, 0xdd));
    }
}

#define TILE_ROWS      14
#define TILE_LANES     32
#define TILE_STEPS     1
#define CEILING_CHAINS 12
#include "worker/kernels/bodies.inc"

const struct kernels kernels_avx512 = KERNELS(CPU_ISA_AVX512);
