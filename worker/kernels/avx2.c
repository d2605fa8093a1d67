/* AVX2 and FMA: v16 is two registers. */
#include "worker/kernels/instruction_sets.h"
#include "worker/kernels/vector.h"

#include <immintrin.h>

typedef struct {
    __m256 low, high;
} v16;

#define BOTH(operation, a, b)                                                                      \
    (v16) {                                                                                        \
        operation((a).low, (b).low), operation((a).high, (b).high)                                 \
    }

KERNEL_INLINE v16 v16_zero(void) {
    return (v16){_mm256_setzero_ps(), _mm256_setzero_ps()};
}
KERNEL_INLINE v16 v16_set1(float x) {
    __m256 vector = _mm256_set1_ps(x);
    return (v16){vector, vector};
}
KERNEL_INLINE v16 v16_load(const float *p) {
    return (v16){_mm256_load_ps(p), _mm256_load_ps(p + 8)};
}
KERNEL_INLINE v16 v16_loadu(const float *p) {
    return (v16){_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)};
}
KERNEL_INLINE void v16_store(float *p, v16 a) {
    _mm256_store_ps(p, a.low);
    _mm256_store_ps(p + 8, a.high);
}
KERNEL_INLINE void v16_storeu(float *p, v16 a) {
    _mm256_storeu_ps(p, a.low);
    _mm256_storeu_ps(p + 8, a.high);
}
KERNEL_INLINE v16 v16_add(v16 a, v16 b) {
    return BOTH(_mm256_add_ps, a, b);
}
KERNEL_INLINE v16 v16_sub(v16 a, v16 b) {
    return BOTH(_mm256_sub_ps, a, b);
}
KERNEL_INLINE v16 v16_mul(v16 a, v16 b) {
    return BOTH(_mm256_mul_ps, a, b);
}
KERNEL_INLINE v16 v16_div(v16 a, v16 b) {
    return BOTH(_mm256_div_ps, a, b);
}
KERNEL_INLINE v16 v16_fma(v16 a, v16 b, v16 c) {
    return (v16){_mm256_fmadd_ps(a.low, b.low, c.low), _mm256_fmadd_ps(a.high, b.high, c.high)};
}
KERNEL_INLINE v16 v16_fnma(v16 a, v16 b, v16 c) {
    return (v16){_mm256_fnmadd_ps(a.low, b.low, c.low), _mm256_fnmadd_ps(a.high, b.high, c.high)};
}
KERNEL_INLINE v16 v16_sqrt(v16 a) {
    return (v16){_mm256_sqrt_ps(a.low), _mm256_sqrt_ps(a.high)};
}
KERNEL_INLINE v16 v16_max(v16 a, v16 b) {
    return BOTH(_mm256_max_ps, a, b);
}
KERNEL_INLINE v16 v16_min(v16 a, v16 b) {
    return BOTH(_mm256_min_ps, a, b);
}
KERNEL_INLINE v16 v16_select_greater(v16 a, v16 b, v16 x, v16 y) {
    return (v16){
        _mm256_blendv_ps(y.low, x.low, _mm256_cmp_ps(a.low, b.low, _CMP_GT_OQ)),
        _mm256_blendv_ps(y.high, x.high, _mm256_cmp_ps(a.high, b.high, _CMP_GT_OQ)),
    };
}
KERNEL_INLINE v16 v16_bits_from(uint32_t from, v16 a) {
    __m256i all = _mm256_set1_epi32((int)from);
    __m256i low = _mm256_srli_epi32(_mm256_castps_si256(a.low), 2);
    __m256i high = _mm256_srli_epi32(_mm256_castps_si256(a.high), 2);
    return (v16){
        _mm256_castsi256_ps(_mm256_sub_epi32(all, low)),
        _mm256_castsi256_ps(_mm256_sub_epi32(all, high)),
    };
}
/* The bytes lie in both halves, where a byte shuffle, one step, makes four of each. */
KERNEL_INLINE v16 v16_where_byte(const uint8_t *p, uint8_t byte, v16 a) {
    const __m256i first = _mm256_setr_epi8(0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4,
        4, 5, 5, 5, 5, 6, 6, 6, 6, 7, 7, 7, 7);
    const __m256i second = _mm256_add_epi8(first, _mm256_set1_epi8(8));
    __m256i twice = _mm256_broadcastsi128_si256(_mm_loadu_si128((const __m128i *)p));
    __m256i same = _mm256_cmpeq_epi8(twice, _mm256_set1_epi8((char)byte));
    __m256 low = _mm256_castsi256_ps(_mm256_shuffle_epi8(same, first));
    __m256 high = _mm256_castsi256_ps(_mm256_shuffle_epi8(same, second));
    return (v16){_mm256_and_ps(low, a.low), _mm256_and_ps(high, a.high)};
}
/* Lanes first .. first+7 of the 16 of a and then b, first 0 .. 7. */
KERNEL_INLINE __m256 beside_eight(__m256 a, __m256 b, int first) {
    __m256i low = _mm256_castps_si256(a), high = _mm256_castps_si256(b);
    __m256i middle = _mm256_permute2x128_si256(low, high, 0x21);
    low = first < 4 ? low : middle;
    high = first < 4 ? middle : high;
    switch (first % 4) {
    case 1: return _mm256_castsi256_ps(_mm256_alignr_epi8(high, low, 4));
    case 2: return _mm256_castsi256_ps(_mm256_alignr_epi8(high, low, 8));
    case 3: return _mm256_castsi256_ps(_mm256_alignr_epi8(high, low, 12));
    default: return _mm256_castsi256_ps(low);
    }
}
KERNEL_INLINE v16 v16_beside(v16 a, v16 b, int first) {
    const __m256 part[5] = {a.low, a.high, b.low, b.high, b.high};
    const __m256 *at = part + first / 8;
    return (v16){beside_eight(at[0], at[1], first % 8), beside_eight(at[1], at[2], first % 8)};
}
KERNEL_INLINE v16 v16_first(v16 a, int count) {
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    __m256i low = _mm256_cmpgt_epi32(_mm256_set1_epi32(count), lane);
    __m256i high = _mm256_cmpgt_epi32(_mm256_set1_epi32(count - 8), lane);
    return (v16){_mm256_and_ps(a.low, _mm256_castsi256_ps(low)),
        _mm256_and_ps(a.high, _mm256_castsi256_ps(high))};
}
/* 16 bits a lane, in the order in which two registers pack: the first four of each, then the rest.
 */
typedef __m256i b16;

KERNEL_INLINE b16 b16_set1(int x) {
    return _mm256_set1_epi16((short)x);
}
KERNEL_INLINE b16 b16_add(b16 a, b16 b) {
    return _mm256_add_epi16(a, b);
}
KERNEL_INLINE b16 b16_min(b16 a, b16 b) {
    return _mm256_min_epi16(a, b);
}
KERNEL_INLINE b16 b16_select_greater(v16 a, v16 b, b16 x, b16 y) {
    __m256i low = _mm256_castps_si256(_mm256_cmp_ps(a.low, b.low, _CMP_GT_OQ));
    __m256i high = _mm256_castps_si256(_mm256_cmp_ps(a.high, b.high, _CMP_GT_OQ));
    return _mm256_blendv_epi8(y, x, _mm256_packs_epi32(low, high));
}
KERNEL_INLINE void b16_store(uint8_t *p, b16 a) {
    __m256i bytes = _mm256_packus_epi16(a, a);
    __m128i first = _mm256_castsi256_si128(bytes), second = _mm256_extracti128_si256(bytes, 1);
    _mm_storeu_si128((__m128i *)p, _mm_unpacklo_epi32(first, second));
}

KERNEL_INLINE float v16_sum(v16 a) {
    __m256 eight = _mm256_add_ps(a.low, a.high);
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

/* One 8 x 8 quadrant: by 4 x 4 blocks inside each half of the registers, then the halves. */
KERNEL_INLINE void transpose_quadrant(
    float *out, ptrdiff_t out_row, const float *in, ptrdiff_t in_row) {
    __m256 half[8]; /* half[4i + j], part g: rows 4i .. 4i+3 of column 4g + j */
    for (int i = 0; i < 2; i++, in += 4 * in_row) {
        __m256 a = _mm256_load_ps(in), b = _mm256_load_ps(in + in_row);
        __m256 c = _mm256_load_ps(in + 2 * in_row), d = _mm256_load_ps(in + 3 * in_row);
        __m256d low_ab = _mm256_castps_pd(_mm256_unpacklo_ps(a, b));
        __m256d low_cd = _mm256_castps_pd(_mm256_unpacklo_ps(c, d));
        __m256d high_ab = _mm256_castps_pd(_mm256_unpackhi_ps(a, b));
        __m256d high_cd = _mm256_castps_pd(_mm256_unpackhi_ps(c, d));
        half[4 * i] = _mm256_castpd_ps(_mm256_unpacklo_pd(low_ab, low_cd));
        half[4 * i + 1] = _mm256_castpd_ps(_mm256_unpackhi_pd(low_ab, low_cd));
        half[4 * i + 2] = _mm256_castpd_ps(_mm256_unpacklo_pd(high_ab, high_cd));
        half[4 * i + 3] = _mm256_castpd_ps(_mm256_unpackhi_pd(high_ab, high_cd));
    }
    for (int j = 0; j < 4; j++, out += out_row) {
        _mm256_store_ps(out, _mm256_permute2f128_ps(half[j], half[4 + j], 0x20));
        _mm256_store_ps(out + 4 * out_row, _mm256_permute2f128_ps(half[j], half[4 + j], 0x31));
    }
}
KERNEL_INLINE void v16_transpose(float *out, ptrdiff_t out_row, const float *in, ptrdiff_t in_row) {
    transpose_quadrant(out, out_row, in, in_row);
    transpose_quadrant(out + 8, out_row, in + 8 * in_row, in_row);
    transpose_quadrant(out + 8 * out_row, out_row, in + 8, in_row);
    transpose_quadrant(out + 8 * out_row + 8, out_row, in + 8 * in_row + 8, in_row);
}

/* sum += a * b, into the register of the sum: gcc 12 takes that of `a` as often, and moves. */
#define V16_ADD_PRODUCT(sum, a, b)                                                                 \
    __asm__("vfmadd231ps %2, %1, %0" : "+x"((sum).low) : "x"((a).low), "x"((b).low));              \
    __asm__("vfmadd231ps %2, %1, %0" : "+x"((sum).high) : "x"((a).high), "x"((b).high));

#define TILE_ROWS      6
#define TILE_LANES     16
#define TILE_STEPS     16
#define CEILING_CHAINS 6
#include "worker/kernels/bodies.inc"

const struct kernels kernels_avx2 = KERNELS(CPU_ISA_AVX2);
