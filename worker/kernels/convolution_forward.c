#include "base/cpu.h"
#include "worker/kernels/convolution_sweep.h"
#include "worker/kernels/winograd_plan.h"

#include <omp.h>

/* What is summed for one output tile. */
static struct sweep_taps forward_taps(
    const struct convolution *c, const struct channel_tile *tile, const struct tensor *input) {
    ptrdiff_t row_stride = input != NULL ? input->row_stride : 0;
    return (struct sweep_taps){
        .channels = c->input.channels,
        .block = tile->other_block,
        .blocks = tile->other_blocks,
        .rows = c->height.kernel,
        .columns = c->width.kernel,
        .block_stride = input != NULL ? input->block_stride : 0,
        .row_step = c->height.dilation * row_stride,
        .column_step = (ptrdiff_t)c->width.dilation * CHANNEL_BLOCK,
        .width = channel_tile_width(tile),
    };
}

size_t convolution_forward_scratch(struct convolution *convolution) {
    size_t runs = 0;
    for (int t = 0; t < convolution->output.tiles; t++) {
        struct sweep_taps taps = forward_taps(convolution, &convolution->output.tile[t], NULL);
        size_t count = (size_t)sweep_runs(NULL, &taps);
        runs = count > runs ? count : runs;
    }
    convolution->forward_runs = convolution_align(runs * sizeof(struct product_block));
    return (size_t)convolution->threads * convolution->forward_runs;
}

/* Register tiles [from, to) of the sweep for one output tile. */
static void forward_tile(const struct tensor *output, const struct tensor *input,
    const float *weights, const float *bias, const struct convolution *c,
    const struct channel_tile *channels, const struct sweep *sweep, int64_t from, int64_t to,
    struct product_block *runs) {
    struct sweep_taps taps = forward_taps(c, channels, input);
    struct product_tile tile = {
        .a = tensor_at(input, 0, 0, -c->height.pad, -c->width.pad),
        .b = weights + channels->offset,
        .a_step = 1,
        .b_step = taps.width,
        .b_vector = CHANNEL_BLOCK,
        .out = tensor_at(output, 0, channels->block, 0, 0),
        .out_vector = output->block_stride,
        .initial = bias != NULL ? bias + (ptrdiff_t)channels->block * CHANNEL_BLOCK : NULL,
    };
    struct sweep_segments segments;
    sweep_segments_init(&segments, runs, sweep_runs(runs, &taps));
    int first;
    while (sweep_segment_next(&first, &tile.count, &segments)) {
        tile.blocks = runs + first;
        sweep_run(sweep, tile, channels->blocks, from, to, &c->kernels->product);
        tile.add = true;
        tile.initial = NULL;
    }
}

void convolution_forward(const struct tensor *output, const struct tensor *input,
    const float *weights, const float *bias, int pictures, const struct convolution *convolution,
    void *scratch) {
    const struct convolution *c = convolution;
    if (c->engine == ENGINE_BLAS) {
        convolution_blas_forward(output, input, weights, bias, pictures, convolution, scratch);
        return;
    }
    if (c->winograd) {
        winograd_forward(output, input, weights, bias, pictures, convolution, scratch);
        return;
    }
    struct sweep sweep;
    sweep_init(&sweep,
        (struct sweep_dimension){pictures, input->picture_stride, output->picture_stride},
        (struct sweep_dimension){
            c->height.output, c->height.stride * input->row_stride, output->row_stride},
        (struct sweep_dimension){
            c->width.output, (ptrdiff_t)c->width.stride * CHANNEL_BLOCK, CHANNEL_BLOCK},
        c->kernels->product.rows);
    int64_t tiles = sweep_tiles(&sweep), total = tiles * c->output.tiles;
#pragma omp parallel num_threads(c->threads)
    {
        cpu_flush_denormals();
        int thread = omp_get_thread_num(), threads = omp_get_num_threads();
        struct product_block *runs = (void *)((char *)scratch + (size_t)thread * c->forward_runs);
        int64_t from = total * thread / threads, to = total * (thread + 1) / threads;
        while (from < to) {
            int64_t number = from / tiles,
                    past = (number + 1) * tiles < to ? (number + 1) * tiles : to;
            forward_tile(output, input, weights, bias, c, &c->output.tile[number], &sweep,
                from - number * tiles, past - number * tiles, runs);
            from = past;
        }
    }
}
