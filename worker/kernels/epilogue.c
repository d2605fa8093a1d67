#include "worker/kernels/epilogue.h"

#include "base/cpu.h"

#include <omp.h>
#include <stdint.h>

void epilogue_fetch(const struct epilogue *epilogue, int picture, int block, int from, int to) {
    for (int i = 0; i < epilogue->reads; i++) {
        const struct tensor *tensor = epilogue->read[i];
        int width = tensor->shape.width, row = from / width, column = from % width;
        const float *pixel = tensor_at(tensor, picture, block, row, column);
        for (int p = from; p < to; p++, pixel += CHANNEL_BLOCK) {
            __builtin_prefetch(pixel, 0, 2); /* into the second level: the first is full */
            if (++column == width) {
                column = 0;
                pixel += tensor->row_stride - (ptrdiff_t)width * CHANNEL_BLOCK;
            }
        }
    }
}

void epilogue_block(const struct epilogue *epilogue, struct shape shape, int picture, int block) {
    for (int row = 0; row < shape.height; row += epilogue_rows(shape)) {
        struct epilogue_run run = epilogue_run_at(shape, picture, block, row);
        epilogue->run(epilogue, &run);
    }
}

void epilogue_share(
    const struct epilogue *epilogue, struct shape shape, int pictures, int thread, int threads) {
    int blocks = shape_blocks(shape.channels);
    int64_t total = (int64_t)pictures * blocks;
    for (int64_t i = total * thread / threads; i < total * (thread + 1) / threads; i++) {
        epilogue_block(epilogue, shape, (int)(i / blocks), (int)(i % blocks));
    }
}

void epilogue_all(const struct epilogue *epilogue, struct shape shape, int pictures, int threads) {
#pragma omp parallel num_threads(threads)
    {
        cpu_flush_denormals();
        epilogue_share(epilogue, shape, pictures, omp_get_thread_num(), omp_get_num_threads());
    }
}
