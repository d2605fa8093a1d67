#include "worker/kernels/epilogue.h"

#include "base/cpu.h"

#include <omp.h>
#include <stdint.h>

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
