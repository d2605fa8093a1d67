/* What is done with a result as soon as it is final, while it lies in cache: a callback that the
 * convolutions (direct and Winograd) call on every run of rows of their output or input gradient.
 *
 * A run is the fewest whole rows that make EPILOGUE_PIXELS pixels (the last one of a picture may
 * have less): it depends on the shape alone, so that sums over it may end in a result. Each run of
 * every channel block and picture is given once, on any thread, when all its pixels are final.
 */
#ifndef WORKER_KERNELS_EPILOGUE_H
#define WORKER_KERNELS_EPILOGUE_H

#include "worker/tensor.h"

/* 64 was tried: a parameter of batch norm then erred 2.5 times as much as in PyTorch
 * (trainer/pytorch). */
#define EPILOGUE_PIXELS 32

struct epilogue_run {
    int picture, block;
    int row, rows;
};

#define EPILOGUE_READS 8

struct epilogue {
    void (*run)(const struct epilogue *epilogue, const struct epilogue_run *run);
    /* What it reads beside the result, at the same places of tensors of the same shape: fetched
     * ahead while the result is computed. */
    const struct tensor *read[EPILOGUE_READS];
    int reads;
};

/* Rows of a run, and how many runs a picture has. */
static inline int epilogue_rows(struct shape shape) {
    int rows = (EPILOGUE_PIXELS + shape.width - 1) / shape.width;
    return rows < shape.height ? rows : shape.height;
}
static inline int epilogue_runs(struct shape shape) {
    int rows = epilogue_rows(shape);
    return (shape.height + rows - 1) / rows;
}

/* The run of `shape` that starts with row `row`. */
static inline struct epilogue_run epilogue_run_at(
    struct shape shape, int picture, int block, int row) {
    int rows = epilogue_rows(shape), left = shape.height - row;
    return (struct epilogue_run){picture, block, row, rows < left ? rows : left};
}

/* All runs of one channel block. */
void epilogue_block(const struct epilogue *epilogue, struct shape shape, int picture, int block);

/* The share of one thread of all runs of some pictures: for who cannot tell earlier what is final.
 */
void epilogue_share(
    const struct epilogue *epilogue, struct shape shape, int pictures, int thread, int threads);

/* The same with threads of its own. */
void epilogue_all(const struct epilogue *epilogue, struct shape shape, int pictures, int threads);

#endif
