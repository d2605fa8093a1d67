#include "base/cpu.h"
#include "worker/kernels/convolution_operand.h"
#include "worker/kernels/convolution_sweep.h"
#include "worker/kernels/winograd_plan.h"

#include <omp.h>
#include <string.h>

/* What is summed for one output tile. */
static struct sweep_taps forward_taps(
    const struct convolution *c, const struct channel_tile *tile, const struct operand *input) {
    return (struct sweep_taps){
        .channels = c->input.channels,
        .block = tile->other_block,
        .blocks = tile->other_blocks,
        .rows = c->height.kernel,
        .columns = c->width.kernel,
        .block_stride = input->block,
        .row_step = input->tap_row,
        .column_step = input->tap_column,
        .lanes = convolution_lanes(c),
        .width = channel_tile_width(tile),
    };
}

/* Narrow inputs meet weights without the lanes that do not exist. */
static size_t narrow_weights_bytes(const struct convolution *c) {
    return c->gather != GATHER_NARROW
               ? 0
               : convolution_align(
                     (size_t)(c->height.kernel * c->width.kernel * c->input.channels) *
                     PRODUCT_VECTORS * CHANNEL_BLOCK * sizeof(float));
}

static const float *narrow_weights(float *out, const float *weights, const struct convolution *c,
    const struct channel_tile *channels) {
    size_t width = (size_t)channel_tile_width(channels), lanes = (size_t)c->input.channels;
    for (int tap = 0; tap < c->height.kernel * c->width.kernel; tap++) {
        memcpy(out + (size_t)tap * lanes * width, weights + (size_t)tap * CHANNEL_BLOCK * width,
            lanes * width * sizeof(float));
    }
    return out;
}

size_t convolution_forward_scratch(struct convolution *convolution) {
    const struct operand nowhere = {.tap_column = 0}; /* no two taps are one run: the most runs */
    size_t runs = 0;
    for (int t = 0; t < convolution->output.tiles; t++) {
        struct sweep_taps taps = forward_taps(convolution, &convolution->output.tile[t], &nowhere);
        size_t count = (size_t)sweep_runs(NULL, &taps);
        runs = count > runs ? count : runs;
    }
    convolution->forward_runs = convolution_align(runs * sizeof(struct product_block));
    convolution->forward_own = convolution->forward_runs + narrow_weights_bytes(convolution);
    return operand_input_bytes(convolution) +
           (size_t)convolution->threads * convolution->forward_own;
}

/* Register tiles [from, to) of the sweep, which starts with `picture`, for one output tile. */
static void forward_tile(const struct tensor *output, const struct operand *input, int picture,
    const float *weights, const float *bias, const struct convolution *c,
    const struct channel_tile *channels, const struct sweep *sweep, int64_t from, int64_t to,
    struct product_block *runs, struct sweep_epilogue *epilogue) {
    struct sweep_taps taps = forward_taps(c, channels, input);
    struct product_tile tile = {
        .a = input->data + picture * input->picture,
        .b = weights + channels->offset,
        .b_vector = CHANNEL_BLOCK,
        .out = tensor_at(output, picture, channels->block, 0, 0),
        .out_vector = output->block_stride,
        .initial = bias != NULL ? bias + (ptrdiff_t)channels->block * CHANNEL_BLOCK : NULL,
    };
    if (c->gather == GATHER_NARROW) {
        tile.b =
            narrow_weights((float *)(void *)((char *)runs + c->forward_runs), tile.b, c, channels);
    }
    struct sweep_segments segments;
    sweep_segments_init(&segments, runs, sweep_runs(runs, &taps));
    int first;
    while (sweep_segment_next(&first, &tile.count, &segments)) {
        tile.blocks = runs + first;
        tile.count = sweep_repeats(runs + first, tile.count, taps.width);
        sweep_run(sweep, tile, channels->blocks, from, to, &c->kernels->product,
            sweep_segment_is_last(&segments) ? epilogue : NULL);
        tile.add = true;
        tile.initial = NULL;
    }
}

void convolution_forward(const struct tensor *output, const struct tensor *input,
    const float *weights, const float *bias, int pictures, const struct convolution *convolution,
    const struct epilogue *epilogue, void *scratch) {
    const struct convolution *c = convolution;
    if (c->engine == ENGINE_BLAS) {
        convolution_blas_forward(output, input, weights, bias, pictures, convolution, scratch);
        if (epilogue != NULL) {
            epilogue_all(epilogue, output->shape, pictures, c->threads);
        }
        return;
    }
    if (c->winograd != NULL) {
        winograd_forward(output, input, weights, bias, pictures, convolution, epilogue, scratch);
        return;
    }
    if (c->depthwise) {
        convolution_depthwise_forward(
            output, input, weights, bias, pictures, convolution, epilogue, scratch);
        return;
    }
    size_t copy = operand_input_bytes(c);
#pragma omp parallel num_threads(c->threads)
    {
        cpu_flush_denormals();
        int thread = omp_get_thread_num(), threads = omp_get_num_threads();
        struct operand in;
        operand_input(&in, scratch, input, pictures, c, thread, threads);
#pragma omp barrier
        struct product_block *runs =
            (void *)((char *)scratch + copy + (size_t)thread * c->forward_own);
        struct sweep_share share;
        sweep_share(&share, pictures, (size_t)input->picture_stride, c->packed, thread, threads);
        struct sweep sweep;
        sweep_init(&sweep,
            (struct sweep_dimension){share.pictures, in.picture, output->picture_stride},
            (struct sweep_dimension){c->height.output, in.row, output->row_stride},
            (struct sweep_dimension){c->width.output, in.column, CHANNEL_BLOCK},
            c->kernels->product.rows);
        int64_t tiles = sweep_tiles(&sweep), total = tiles * c->output.tiles;
        int64_t from = total * share.thread / share.threads;
        int64_t to = total * (share.thread + 1) / share.threads;
        struct sweep_epilogue told = {.epilogue = epilogue,
            .shape = output->shape,
            .in_order = sweep.in_order,
            .picture = share.picture};
        while (from < to) {
            const struct channel_tile *channels = &c->output.tile[from / tiles];
            int64_t number = from / tiles,
                    past = (number + 1) * tiles < to ? (number + 1) * tiles : to;
            told.block = channels->block;
            told.blocks = channels->blocks;
            forward_tile(output, &in, share.picture, weights, bias, c, channels, &sweep,
                from - number * tiles, past - number * tiles, runs, &told);
            from = past;
        }
        sweep_epilogue_finish(&told, pictures, thread, threads);
    }
}
