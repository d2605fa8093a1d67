/* The vector of 16 floats on which all kernels are written: v16, one lane a channel.
 *
 * There is nothing to include from here but one macro: every instruction set's file (avx512.c,
 * avx2.c, portable.c) defines the type v16 and the operations below for itself, all of them static,
 * so that no function compiled for one instruction set can be linked into code meant for another.
 * Each operation is one correctly rounded IEEE operation a lane, and lanes never mix: therefore
 * every set gives the same bits.
 *
 *     v16 v16_zero(void)                       0 in every lane
 *     v16 v16_set1(float x)                    x in every lane
 *     v16 v16_load(const float *p)             p[0..16), p aligned to 64 bytes
 *     v16 v16_loadu(const float *p)            the same, any p
 *     void v16_store(float *p, v16 a)          aligned to 64 bytes
 *     void v16_storeu(float *p, v16 a)
 *     v16 v16_add(v16 a, v16 b)                a + b
 *     v16 v16_sub(v16 a, v16 b)                a - b
 *     v16 v16_mul(v16 a, v16 b)                a * b
 *     v16 v16_div(v16 a, v16 b)                a / b
 *     v16 v16_fma(v16 a, v16 b, v16 c)         a * b + c, rounded once
 *     v16 v16_fnma(v16 a, v16 b, v16 c)        c - a * b, rounded once
 *     v16 v16_sqrt(v16 a)
 *     v16 v16_max(v16 a, v16 b)                a > b ? a : b (so b where either is not a number)
 *     v16 v16_min(v16 a, v16 b)                a < b ? a : b
 *     v16 v16_select_greater(a, b, x, y)       a > b ? x : y, lane by lane
 *     v16 v16_bits_from(uint32_t from, v16 a)  the floats whose bits are from - (bits of a) / 4
 *     v16 v16_where_byte(const uint8_t *p, uint8_t byte, v16 a)
 *                                              a where p[lane] is `byte`, else 0; any p
 *     v16 v16_beside(v16 a, v16 b, int first)  lanes first .. first+15 of the 32 of a and then b;
 *                                              first 0 .. 16
 *     v16 v16_first(v16 a, int count)          lanes 0 .. count-1 of a, the others 0
 *     float v16_sum(v16 a)                     all lanes, by one fixed tree: lane l + lane l+8,
 *                                              then l + l+4, l + l+2, l + l+1
 *     void v16_transpose(float *out, ptrdiff_t out_row, const float *in, ptrdiff_t in_row)
 *                                              out[j * out_row + i] = in[i * in_row + j] for i, j
 *                                              < 16; rows aligned to 64 bytes
 *
 * b16 is a whole number 0 .. 255 in every lane, sums not carried:
 *
 *     b16 b16_set1(int x)
 *     b16 b16_add(b16 a, b16 b)
 *     b16 b16_min(b16 a, b16 b)
 *     b16 b16_select_greater(v16 a, v16 b, b16 x, b16 y)
 *                                              a > b ? x : y, lane by lane
 *     void b16_store(uint8_t *p, b16 a)        any p
 */
#ifndef WORKER_KERNELS_VECTOR_H
#define WORKER_KERNELS_VECTOR_H

/* How every operation and every body is declared: local to its file, always inlined. Not where a
 * sanitizer looks on: gcc would take minutes over one file. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define KERNEL_INLINE static __attribute__((unused))
#else
#define KERNEL_INLINE static inline __attribute__((always_inline, unused))
#endif

#endif
