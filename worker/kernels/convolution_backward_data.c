#include "base/cpu.h"
#include "worker/kernels/convolution_sweep.h"
#include "worker/kernels/winograd_plan.h"

#include <omp.h>
#include <string.h>

/* Everything of one phase of both axes. */
struct phase {
    struct convolution_phase height, width;
    struct sweep sweep;
    int64_t tiles;
};

static struct sweep_taps phase_taps(const struct convolution *c, const struct channel_tile *tile,
    const struct phase *phase, const struct tensor *gradient) {
    ptrdiff_t row_stride = gradient != NULL ? gradient->row_stride : 0;
    return (struct sweep_taps){
        .channels = c->output.channels,
        .block = tile->other_block,
        .blocks = tile->other_blocks,
        .rows = phase->height.taps,
        .columns = phase->width.taps,
        .block_stride = gradient != NULL ? gradient->block_stride : 0,
        .row_step = phase->height.offset_step * row_stride,
        .column_step = phase->width.taps == 1 ? CHANNEL_BLOCK /* one tap is a run of its own, too */
                                              : (ptrdiff_t)phase->width.offset_step * CHANNEL_BLOCK,
        .lanes = CHANNEL_BLOCK,
        .width = channel_tile_width(tile),
    };
}

static void init_phase(struct phase *phase, const struct convolution *c, int number) {
    convolution_phase_init(&phase->height, &c->height, number / c->width.phases);
    convolution_phase_init(&phase->width, &c->width, number % c->width.phases);
}

static void init_sweep(struct phase *phase, const struct convolution *c,
    const struct tensor *input_gradient, const struct tensor *output_gradient, int pictures) {
    const struct tensor *in = input_gradient, *out = output_gradient;
    sweep_init(&phase->sweep,
        (struct sweep_dimension){pictures, out->picture_stride, in->picture_stride},
        (struct sweep_dimension){
            phase->height.count, out->row_stride, c->height.phase_stride * in->row_stride},
        (struct sweep_dimension){
            phase->width.count, CHANNEL_BLOCK, (ptrdiff_t)c->width.phase_stride * CHANNEL_BLOCK},
        c->kernels->product.rows);
    phase->tiles = sweep_tiles(&phase->sweep);
}

/* The most of any tile and phase: runs, and the transposed weights of one segment, which is at most
 * two marks (1024 products) and one run long; only in the last channel block do products take more
 * room than their number. */
size_t convolution_backward_data_scratch(struct convolution *convolution) {
    struct convolution *c = convolution;
    size_t runs = 0, steps = 0;
    for (int t = 0; t < c->input.tiles; t++) {
        for (int number = 0; number < c->height.phases * c->width.phases; number++) {
            struct phase phase;
            init_phase(&phase, c, number);
            struct sweep_taps taps = phase_taps(c, &c->input.tile[t], &phase, NULL);
            size_t count = (size_t)sweep_runs(NULL, &taps);
            size_t row = (size_t)taps.columns * CHANNEL_BLOCK, block = row * (size_t)taps.rows;
            size_t all = block * (size_t)taps.blocks, segment = 1024 + row + block;
            segment = segment < all ? segment : all;
            runs = count > runs ? count : runs;
            steps = segment > steps ? segment : steps;
        }
    }
    c->backward_runs = convolution_align(runs * sizeof(struct product_block));
    c->backward_transposed = steps * 2 * CHANNEL_BLOCK * sizeof(float);
    return (size_t)c->threads * (c->backward_runs + c->backward_transposed);
}

void convolution_transpose_tap(float *out, const float *weights, const struct convolution *c,
    const struct channel_tile *tile, int block, int row, int column) {
    const struct channel_tile *from = &c->output.tile[block / c->output.tile_blocks];
    ptrdiff_t from_width = channel_tile_width(from), width = channel_tile_width(tile);
    for (int b = 0; b < tile->blocks; b++) {
        int input_block = tile->block + b - from->other_block;
        float *to = out + (ptrdiff_t)b * CHANNEL_BLOCK;
        if (input_block < 0 || input_block >= from->other_blocks) {
            for (int o = 0; o < CHANNEL_BLOCK; o++) {
                memset(to + o * width, 0, CHANNEL_BLOCK * sizeof(float));
            }
            continue;
        }
        ptrdiff_t tap =
            ((ptrdiff_t)input_block * c->height.kernel + row) * c->width.kernel + column;
        c->kernels->product.transpose(to, width,
            weights + from->offset + tap * CHANNEL_BLOCK * from_width +
                (ptrdiff_t)(block - from->block) * CHANNEL_BLOCK,
            from_width);
    }
}

/* The weights of some consecutive runs; afterwards the runs' b counts from `out`. */
static void transpose_runs(float *out, struct product_block *runs, int count, const float *weights,
    const struct convolution *c, const struct channel_tile *tile, const struct phase *phase,
    const struct sweep_taps *taps) {
    ptrdiff_t size = (ptrdiff_t)CHANNEL_BLOCK * taps->width; /* of one tap */
    ptrdiff_t start = count > 0 ? runs[0].b : 0;
    for (int r = 0; r < count; r++) {
        int number = (int)(runs[r].b / size);
        int past = number + (runs[r].run + CHANNEL_BLOCK - 1) / CHANNEL_BLOCK;
        runs[r].b -= start;
        for (float *to = out + runs[r].b; number < past; number++, to += size) {
            int column = number % taps->columns, row = number / taps->columns % taps->rows;
            int block = taps->block + number / taps->columns / taps->rows;
            convolution_transpose_tap(to, weights, c, tile, block,
                phase->height.tap - row * phase->height.tap_step,
                phase->width.tap - column * phase->width.tap_step);
        }
    }
}

/* Register tiles [from, to) of one phase, whose sweep starts with `picture`, for one input tile. */
static void backward_phase(const struct tensor *input_gradient,
    const struct tensor *output_gradient, int picture, const float *weights, const float *bias,
    const struct convolution *c, const struct channel_tile *channels, const struct phase *phase,
    int64_t from, int64_t to, struct product_block *runs, float *transposed,
    struct sweep_epilogue *epilogue) {
    struct sweep_taps taps = phase_taps(c, channels, phase, output_gradient);
    struct product_tile tile = {
        .a = tensor_at(output_gradient, picture, 0, phase->height.offset, phase->width.offset),
        .b = transposed,
        .b_vector = CHANNEL_BLOCK,
        .out = tensor_at(
            input_gradient, picture, channels->block, phase->height.first, phase->width.first),
        .out_vector = input_gradient->block_stride,
        .initial = bias != NULL ? bias + (ptrdiff_t)channels->block * CHANNEL_BLOCK : NULL,
    };
    struct sweep_segments segments;
    sweep_segments_init(&segments, runs, sweep_runs(runs, &taps));
    int first;
    while (sweep_segment_next(&first, &tile.count, &segments)) {
        tile.blocks = runs + first;
        transpose_runs(transposed, runs + first, tile.count, weights, c, channels, phase, &taps);
        tile.count = sweep_repeats(runs + first, tile.count, taps.width);
        sweep_run(&phase->sweep, tile, channels->blocks, from, to, &c->kernels->product,
            sweep_segment_is_last(&segments) ? epilogue : NULL);
        tile.add = true;
        tile.initial = NULL;
    }
}

void convolution_backward_data(const struct tensor *input_gradient,
    const struct tensor *output_gradient, const float *weights, const float *bias, int pictures,
    const struct convolution *convolution, const struct epilogue *epilogue, void *scratch) {
    const struct convolution *c = convolution;
    if (c->engine == ENGINE_BLAS) {
        convolution_blas_backward_data(
            input_gradient, output_gradient, weights, bias, pictures, convolution, scratch);
        if (epilogue != NULL) {
            epilogue_all(epilogue, input_gradient->shape, pictures, c->threads);
        }
        return;
    }
    if (c->winograd != NULL) {
        winograd_backward_data(input_gradient, output_gradient, weights, bias, pictures,
            convolution, epilogue, scratch);
        return;
    }
    if (c->depthwise) {
        convolution_depthwise_backward_data(input_gradient, output_gradient, weights, bias,
            pictures, convolution, epilogue, scratch);
        return;
    }
    int phases = c->height.phases * c->width.phases;
#pragma omp parallel num_threads(c->threads)
    {
        cpu_flush_denormals();
        int thread = omp_get_thread_num(), threads = omp_get_num_threads();
        char *own = (char *)scratch + (size_t)thread * (c->backward_runs + c->backward_transposed);
        struct sweep_share share;
        sweep_share(
            &share, pictures, (size_t)output_gradient->picture_stride, c->packed, thread, threads);
        int64_t total = 0, start = 0;
        struct phase phase;
        for (int number = 0; number < phases; number++) {
            init_phase(&phase, c, number);
            init_sweep(&phase, c, input_gradient, output_gradient, share.pictures);
            total += phase.tiles;
        }
        total *= c->input.tiles;
        int64_t from = total * share.thread / share.threads;
        int64_t to = total * (share.thread + 1) / share.threads;
        struct sweep_epilogue told = {.epilogue = epilogue,
            .shape = input_gradient->shape,
            .in_order = phases == 1 && phase.sweep.in_order,
            .picture = share.picture};
        for (int t = 0; t < c->input.tiles && start < to; t++) {
            told.block = c->input.tile[t].block;
            told.blocks = c->input.tile[t].blocks;
            for (int number = 0; number < phases && start < to; number++) {
                init_phase(&phase, c, number);
                init_sweep(&phase, c, input_gradient, output_gradient, share.pictures);
                int64_t first = from > start ? from - start : 0;
                int64_t past = to - start < phase.tiles ? to - start : phase.tiles;
                start += phase.tiles;
                if (first < past) {
                    backward_phase(input_gradient, output_gradient, share.picture, weights, bias, c,
                        &c->input.tile[t], &phase, first, past, (struct product_block *)(void *)own,
                        (float *)(void *)(own + c->backward_runs), &told);
                }
            }
        }
        sweep_epilogue_finish(&told, pictures, thread, threads);
    }
}
