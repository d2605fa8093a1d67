/* The one microkernel: a tile of a sum of small matrix products, in registers.
 *
 * A tile is rows x vectors accumulators of 16 lanes. For each block of a list, in order, and each
 * step k of its run,
 *
 *     sum[i][v] += a[block.a + (i, k)] * b[block.b + k * b_step + v * b_vector ..]
 *
 * as one chain of fused multiply-adds: a scalar of `a` times 16 lanes of `b`. There are two kinds
 * of tile, since either steps or rows are neighbours in `a`:
 *
 *     tile      (i, k)             use                rows            steps
 *     pixels    i * a_stride + k   forward            output pixels   inputs (kw x 16 ic)
 *                                  backward-data      input pixels    outputs (kw x 16 oc)
 *     weights   i + k * a_stride   backward-weights   input channels  output pixels
 *
 * and `b` is packed weights, transposed weights, and the output's gradient; 16 lanes of it are
 * channels. Weights are packed: for pixels b_step is known and not read, 16 * vectors, and
 * b_vector 16.
 *
 * How large a tile is changes no bit: no sum is ever shared between lanes or rows.
 */
#ifndef WORKER_KERNELS_PRODUCT_H
#define WORKER_KERNELS_PRODUCT_H

#include <stdbool.h>
#include <stddef.h>

#define PRODUCT_ROWS_LIMIT 14
#define PRODUCT_VECTORS    2 /* a tile is 16 or 32 lanes wide */

struct product_block {
    ptrdiff_t a, b; /* offsets in floats */
    int run;        /* steps, at least 1 */
    /* Pixels: further runs as long, each a_repeat floats from the one before; `b` goes on. */
    int repeats;
    ptrdiff_t a_repeat;
};

/* Lines of 64 bytes that will be needed soon: one at `line` and one `other` floats further, then
 * those `step` floats after each of them, and so on. */
struct product_ahead {
    const float *line;
    ptrdiff_t other, step;
};

/* All strides in floats; `b`, `out` and `initial` are aligned to 64 bytes in every block and row.
 */
struct product_tile {
    const float *a, *b;
    const struct product_block *blocks;
    int count; /* of blocks; may be 0 */
    ptrdiff_t a_stride;
    ptrdiff_t b_step, b_vector;
    float *out; /* sum[i][v] goes to out[i * out_row + v * out_vector ..] */
    ptrdiff_t out_row, out_vector;
    /* What the sums start with, [i * initial_row + v * 16 ..]: a bias (initial_row 0), or the sums
     * of the steps before (a chain done in pieces has the bits of the whole); NULL: zero. */
    const float *initial;
    ptrdiff_t initial_row;
    bool add; /* out = out + sum, not out = sum */
    /* What is asked for meanwhile. With run i what ahead[i] says, two lines a step or, by sets of
     * small tiles, two for each row; who gives none has `out` asked for first. Weights, but for
     * sets of small tiles: with the blocks after the last of these what lies a_ahead from their
     * `a`, or, where that is 0, b_ahead from both vectors of their `b`. */
    const struct product_ahead *ahead;
    int aheads;
    ptrdiff_t a_ahead, b_ahead;
    /* Pixels: from `a` to that of the next tile (0: there is none), whose lines sets of small tiles
     * ask for with each run. */
    ptrdiff_t a_next;
};

typedef void product_run(const struct product_tile *tile);

struct product_kernels {
    int rows;         /* the most rows of a tile, at most PRODUCT_ROWS_LIMIT */
    int weights_rows; /* the same where rows are channels of one block of 16 */
    int lanes;        /* of a row of the widest tile that stays in registers: 16 or 32 */
    product_run *pixels[PRODUCT_VECTORS][PRODUCT_ROWS_LIMIT]; /* [vectors - 1][rows - 1] */
    product_run *weights[PRODUCT_VECTORS][PRODUCT_ROWS_LIMIT];
    /* out[j * out_row + i] = in[i * in_row + j] for i, j < 16; rows aligned to 64 bytes. */
    void (*transpose)(float *out, ptrdiff_t out_row, const float *in, ptrdiff_t in_row);
};

#endif
