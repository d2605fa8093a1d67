/* Plain C, for any processor: v16 is an array. The reference for what the others must give. */
#include "worker/kernels/instruction_sets.h"
#include "worker/kernels/vector.h"

#include <math.h>
#include <string.h>

typedef struct {
    float lane[16];
} v16;

#define LANES for (int l = 0; l < 16; l++)

KERNEL_INLINE v16 v16_set1(float x) {
    v16 r;
    LANES r.lane[l] = x;
    return r;
}
KERNEL_INLINE v16 v16_zero(void) {
    return v16_set1(0.0f);
}
KERNEL_INLINE v16 v16_loadu(const float *p) {
    v16 r;
    LANES r.lane[l] = p[l];
    return r;
}
KERNEL_INLINE v16 v16_load(const float *p) {
    return v16_loadu(p);
}
KERNEL_INLINE void v16_storeu(float *p, v16 a) {
    LANES p[l] = a.lane[l];
}
KERNEL_INLINE void v16_store(float *p, v16 a) {
    v16_storeu(p, a);
}
KERNEL_INLINE v16 v16_add(v16 a, v16 b) {
    v16 r;
    LANES r.lane[l] = a.lane[l] + b.lane[l];
    return r;
}
KERNEL_INLINE v16 v16_sub(v16 a, v16 b) {
    v16 r;
    LANES r.lane[l] = a.lane[l] - b.lane[l];
    return r;
}
KERNEL_INLINE v16 v16_mul(v16 a, v16 b) {
    v16 r;
    LANES r.lane[l] = a.lane[l] * b.lane[l];
    return r;
}
KERNEL_INLINE v16 v16_div(v16 a, v16 b) {
    v16 r;
    LANES r.lane[l] = a.lane[l] / b.lane[l];
    return r;
}
KERNEL_INLINE v16 v16_max(v16 a, v16 b) {
    v16 r;
    LANES r.lane[l] = a.lane[l] > b.lane[l] ? a.lane[l] : b.lane[l];
    return r;
}
KERNEL_INLINE v16 v16_min(v16 a, v16 b) {
    v16 r;
    LANES r.lane[l] = a.lane[l] < b.lane[l] ? a.lane[l] : b.lane[l];
    return r;
}
KERNEL_INLINE v16 v16_fma(v16 a, v16 b, v16 c) {
    v16 r;
    LANES r.lane[l] = fmaf(a.lane[l], b.lane[l], c.lane[l]);
    return r;
}
KERNEL_INLINE v16 v16_fnma(v16 a, v16 b, v16 c) {
    v16 r;
    LANES r.lane[l] = fmaf(-a.lane[l], b.lane[l], c.lane[l]);
    return r;
}
KERNEL_INLINE v16 v16_sqrt(v16 a) {
    v16 r;
    LANES r.lane[l] = sqrtf(a.lane[l]);
    return r;
}
KERNEL_INLINE v16 v16_select_greater(v16 a, v16 b, v16 x, v16 y) {
    v16 r;
    LANES r.lane[l] = a.lane[l] > b.lane[l] ? x.lane[l] : y.lane[l];
    return r;
}
KERNEL_INLINE v16 v16_bits_from(uint32_t from, v16 a) {
    v16 r;
    uint32_t bits[16];
    memcpy(bits, a.lane, sizeof bits);
    LANES bits[l] = from - bits[l] / 4;
    memcpy(r.lane, bits, sizeof bits);
    return r;
}
KERNEL_INLINE v16 v16_where_byte(const uint8_t *p, uint8_t byte, v16 a) {
    v16 r;
    LANES r.lane[l] = p[l] == byte ? a.lane[l] : 0.0f;
    return r;
}
KERNEL_INLINE v16 v16_beside(v16 a, v16 b, int first) {
    v16 r;
    LANES r.lane[l] = first + l < 16 ? a.lane[first + l] : b.lane[first + l - 16];
    return r;
}
KERNEL_INLINE v16 v16_first(v16 a, int count) {
    v16 r;
    LANES r.lane[l] = l < count ? a.lane[l] : 0.0f;
    return r;
}
typedef struct {
    uint8_t lane[16];
} b16;

KERNEL_INLINE b16 b16_set1(int x) {
    b16 r;
    LANES r.lane[l] = (uint8_t)x;
    return r;
}
KERNEL_INLINE b16 b16_add(b16 a, b16 b) {
    b16 r;
    LANES r.lane[l] = (uint8_t)(a.lane[l] + b.lane[l]);
    return r;
}
KERNEL_INLINE b16 b16_min(b16 a, b16 b) {
    b16 r;
    LANES r.lane[l] = a.lane[l] < b.lane[l] ? a.lane[l] : b.lane[l];
    return r;
}
KERNEL_INLINE b16 b16_select_greater(v16 a, v16 b, b16 x, b16 y) {
    b16 r;
    LANES r.lane[l] = a.lane[l] > b.lane[l] ? x.lane[l] : y.lane[l];
    return r;
}
KERNEL_INLINE void b16_store(uint8_t *p, b16 a) {
    memcpy(p, a.lane, sizeof a.lane);
}

KERNEL_INLINE float v16_sum(v16 a) {
    for (int width = 8; width > 0; width /= 2) {
        for (int l = 0; l < width; l++) {
            a.lane[l] += a.lane[l + width];
        }
    }
    return a.lane[0];
}

KERNEL_INLINE void v16_transpose(float *out, ptrdiff_t out_row, const float *in, ptrdiff_t in_row) {
    for (int j = 0; j < 16; j++) {
        LANES out[j * out_row + l] = in[l * in_row + j];
    }
}

#define TILE_ROWS      4
#define TILE_LANES     16
#define TILE_STEPS     1
#define CEILING_CHAINS 6
#include "worker/kernels/bodies.inc"

const struct kernels kernels_portable = KERNELS(CPU_ISA_PORTABLE);
