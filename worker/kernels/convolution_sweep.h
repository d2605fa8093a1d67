/* Forward and backward-data, what they share: a dense product over all pixels of a space.
 * Private to worker/kernels/. */
#ifndef WORKER_KERNELS_CONVOLUTION_SWEEP_H
#define WORKER_KERNELS_CONVOLUTION_SWEEP_H

#include "worker/kernels/convolution_plan.h"

/* The sum of one output element, as runs of products: channel block by channel block, tap row by
 * tap row, and inside it tap by tap, each with its 16 channels (fewer in the last block). Where the
 * taps of a row are neighbours, without a lane between them that is not summed, they are one run.
 */
struct sweep_taps {
    int channels;           /* of the side that is summed over */
    int block, blocks;      /* those of it that are summed */
    int rows, columns;      /* of taps */
    ptrdiff_t block_stride; /* in the tensor, floats */
    ptrdiff_t row_step, column_step;
    int lanes; /* rows of weights of a tap */
    int width; /* lanes of a row of weights: 16 or 32 */
};

/* Writes the runs; their weights lie in the same order, [blocks][rows][columns][lanes][width].
 * Returns how many; `runs` may be NULL. */
int sweep_runs(struct product_block *runs, const struct sweep_taps *taps);

/* Long sums are cut into segments of 512 to 1023 products, each one chain whose weights stay in
 * cache while the pixels pass; sums of segments are added in order. Fewest runs that reach
 * the next of equally spaced marks; whole runs only. */
struct sweep_segments {
    const struct product_block *runs;
    int count;
    int64_t steps, done; /* products of all runs, and of those before `next` */
    int number, next;
};
void sweep_segments_init(
    struct sweep_segments *segments, const struct product_block *runs, int count);
/* The next segment, runs [*first, *first + *count); false after the last. A sum without products
 * has one empty segment. */
bool sweep_segment_next(int *first, int *count, struct sweep_segments *segments);
static inline bool sweep_segment_is_last(const struct sweep_segments *segments) {
    return segments->next == segments->count;
}

/* Runs at equal distances, whose weights (`width` lanes a row) follow each other, become repeats of
 * the first, in place. Returns how many are left. */
int sweep_repeats(struct product_block *runs, int count, int width);

/* The pixels of some pictures in two tensors: `a`, which is read, and `out`. The innermost
 * dimension is cut into register tiles. */
struct sweep_dimension {
    int count;
    ptrdiff_t a, out; /* floats from one to the next */
};
struct sweep {
    struct sweep_dimension outer, middle, inner;
    int tiles;     /* of the inner dimension */
    bool in_order; /* picture by picture, row by row */
};

/* Arranges pictures, rows and columns so that tiles are full: a picture whose rows follow each
 * other without a border is one row, and where rows are short the tile runs over pictures. */
void sweep_init(struct sweep *sweep, struct sweep_dimension pictures, struct sweep_dimension rows,
    struct sweep_dimension columns, int most_rows);
static inline int64_t sweep_tiles(const struct sweep *sweep) {
    return (int64_t)sweep->outer.count * sweep->middle.count * sweep->tiles;
}

/* The share of one thread: of pictures [picture, picture + pictures) the tiles with number `thread`
 * of `threads`. Pictures are split in equal parts where all threads together then read less: every
 * thread reads all of its pictures, `floats` each, and its share of the weights. Who has the same
 * pictures in each layer also finds in its own cache what it made. Changes no bit. */
struct sweep_share {
    int picture, pictures;
    int thread, threads;
};
void sweep_share(struct sweep_share *share, int pictures, size_t floats, size_t weights, int thread,
    int threads);

/* Calls an epilogue on the runs of rows that one thread has finished, if sweeps are in order and
 * every pixel is in one of them. A run that another thread began has to wait until all are done:
 * there is at most one, that in which the thread itself began. */
struct sweep_epilogue {
    const struct epilogue *epilogue; /* NULL: none */
    struct shape shape;
    bool in_order;
    int picture;              /* of the whole pass, that the sweep has first */
    int block, blocks;        /* channel blocks of the tiles */
    struct epilogue_run next; /* the first run that is not final */
    bool begun;               /* by another thread */
    struct epilogue_run late; /* the one that has to wait */
    int late_blocks;          /* 0: none has */
};
/* By every thread of a parallel region after its sweeps: waits for all, does what is left. */
void sweep_epilogue_finish(
    const struct sweep_epilogue *epilogue, int pictures, int thread, int threads);

/* Computes register tiles [from, to) of the sweep. `tile` is what they have in common, its `a` and
 * `out` at the sweep's first pixel. `epilogue` is told what is final with these (NULL: nothing is);
 * its `block` and `blocks` are the tile's. */
void sweep_run(const struct sweep *sweep, struct product_tile tile, int vectors, int64_t from,
    int64_t to, const struct product_kernels *kernels, struct sweep_epilogue *epilogue);

#endif
