/* Forward and backward-data, which are the same: maps from maps. Backward-data is a forward pass
 * over the output's gradient, padded by kernel - 1 - pad, with weights flipped and transposed. */
#include "base/cpu.h"
#include "worker/kernels/winograd_plan.h"

#include <omp.h>
#include <string.h>

/* Tiles that are transformed, multiplied and transformed back together. The larger the group, the
 * fewer times the weights of all frequencies are read; the smaller, the more of it stays in cache:
 * measured, 112 is best below 256 channels and 56 from 512 on, and 42 for 5x5 kernels, whose many
 * tiles have few products each. Changes no bit. */
static int group_limit(const struct convolution *c) {
    if (c->winograd->kernel > 3) {
        return 42;
    }
    int channels = c->input.channels > c->output.channels ? c->input.channels : c->output.channels;
    return channels >= 512 ? 56 : channels >= 256 ? 84 : 112;
}

struct maps {
    const struct convolution *c;
    const struct channel_side *in, *out;
    const struct tensor *from, *to;
    int pad_height, pad_width;
    int rows, columns; /* of tiles, in a picture */
    int64_t tiles;     /* in all pictures */
    int group;         /* tiles there is room for */
    ptrdiff_t block_step, in_step, out_step;
    const float *initial;
    float *weights; /* [frequencies: weights_step][out tiles][their in blocks][16][width] */
    ptrdiff_t weights_step;
};

/* The working memory of one thread. */
struct memory {
    float *in;   /* [frequencies: in_step][in blocks: block_step][group][16] */
    float *out;  /* [frequencies: out_step][out blocks: block_step][group][16] */
    float *room; /* one tile at the edge, or the taps of one transposed block */
};

static size_t room_floats(const struct convolution *c) {
    return (size_t)c->winograd->taps * CHANNEL_BLOCK * CHANNEL_BLOCK * PRODUCT_VECTORS;
}

static size_t place_memory(struct memory *memory, char *start, const struct convolution *c) {
    char *next = start;
    size_t in = (size_t)shape_blocks(c->input.channels);
    size_t out = (size_t)shape_blocks(c->output.channels), most = in > out ? in : out;
    size_t side = (size_t)c->winograd->frequencies * sizeof(float) *
                  winograd_step(most * (size_t)group_limit(c) * CHANNEL_BLOCK);
    memory->in = (float *)(void *)next;
    next += side; /* either side may be the one that is read */
    memory->out = (float *)(void *)next;
    next += side;
    memory->room = (float *)(void *)next;
    next += room_floats(c) * sizeof(float);
    return (size_t)(next - start);
}

/* The same in both directions. */
static size_t weights_step(const struct convolution *c) {
    return winograd_step(c->packed / (size_t)c->winograd->taps);
}

static size_t weights_floats(const struct convolution *c) {
    return (size_t)c->winograd->frequencies * weights_step(c);
}

size_t winograd_maps_scratch(const struct convolution *convolution) {
    static char nowhere;
    struct memory memory;
    return weights_floats(convolution) * sizeof(float) +
           (size_t)convolution->threads * place_memory(&memory, &nowhere, convolution);
}

/* Where the weights of an output tile of the pass begin, in one frequency. */
static size_t tile_weights(const struct maps *m, int number) {
    const struct channel_tile *tile = &m->out->tile[number];
    return (size_t)number * (size_t)tile->other_blocks * CHANNEL_BLOCK *
           (size_t)(m->out->tile_blocks * CHANNEL_BLOCK);
}

/* Transforms the weights between one block of the side that is read and one tile of the other. */
static void transform_block(
    const struct maps *m, const float *weights, int number, int block, float *room) {
    const struct convolution *c = m->c;
    const struct channel_tile *tile = &m->out->tile[number];
    ptrdiff_t width = channel_tile_width(tile), size = CHANNEL_BLOCK * width;
    float *out = m->weights + tile_weights(m, number) + (size_t)block * (size_t)size;
    const int kernel = c->winograd->kernel, count = c->winograd->taps;
    const float *taps = weights + tile->offset + (ptrdiff_t)block * count * size;
    ptrdiff_t tap = size;
    if (m->out == &c->input) {
        for (int t = 0; t < count; t++) {
            convolution_transpose_tap(room + t * size, weights, c, tile, tile->other_block + block,
                t / kernel, t % kernel);
        }
        taps = room + (count - 1) * size; /* the last tap first */
        tap = -size;
    }
    for (ptrdiff_t i = 0; i < size; i += CHANNEL_BLOCK) {
        c->winograd->weights(out + i, m->weights_step, taps + i, tap);
    }
}

static void transform_weights(
    const struct maps *m, const float *weights, float *room, int thread, int threads) {
    int blocks = m->out->tile[0].other_blocks; /* the same for all tiles */
    int64_t total = (int64_t)m->out->tiles * blocks;
    for (int64_t i = total * thread / threads; i < total * (thread + 1) / threads; i++) {
        transform_block(m, weights, (int)(i / blocks), (int)(i % blocks), room);
    }
}

struct place {
    int picture, row, column; /* of the tile's first output pixel */
};

static struct place place_of(const struct maps *m, int64_t tile) {
    int in_picture = (int)(tile % ((int64_t)m->rows * m->columns)), size = m->c->winograd->output;
    return (struct place){(int)(tile / ((int64_t)m->rows * m->columns)),
        in_picture / m->columns * size, in_picture % m->columns * size};
}

static void transform_in(
    const struct maps *m, const struct memory *memory, int64_t first, int count) {
    int blocks = shape_blocks(m->in->channels);
    for (int i = 0; i < count; i++) {
        struct place place = place_of(m, first + i);
        for (int b = 0; b < blocks; b++) {
            const float *pixels;
            ptrdiff_t row_stride;
            winograd_pixels(&pixels, &row_stride, m->from, place.picture, b,
                place.row - m->pad_height, place.column - m->pad_width, m->c->winograd->input,
                memory->room);
            m->c->winograd->pixels(memory->in + b * m->block_step + (ptrdiff_t)i * CHANNEL_BLOCK,
                m->in_step, pixels, row_stride);
        }
    }
}

static void multiply(const struct maps *m, const struct memory *memory, int count) {
    const struct product_kernels *kernels = &m->c->kernels->product;
    int blocks = m->out->tile[0].other_blocks, pieces = (count + kernels->rows - 1) / kernels->rows;
    const struct product_block all = {
        .run = CHANNEL_BLOCK, .repeats = blocks - 1, .a_repeat = m->block_step};
    for (int f = 0; f < m->c->winograd->frequencies; f++) {
        for (int t = 0; t < m->out->tiles; t++) {
            const struct channel_tile *channels = &m->out->tile[t];
            struct product_tile tile = {
                .b = m->weights + f * m->weights_step + tile_weights(m, t),
                .blocks = &all,
                .count = 1,
                .a_stride = CHANNEL_BLOCK,
                .b_vector = CHANNEL_BLOCK,
                .out_row = CHANNEL_BLOCK,
                .out_vector = m->block_step,
            };
            for (int i = 0; i < pieces; i++) {
                int first = i * count / pieces, past = (i + 1) * count / pieces;
                tile.a = memory->in + f * m->in_step + channels->other_block * m->block_step +
                         (ptrdiff_t)first * CHANNEL_BLOCK;
                tile.out = memory->out + f * m->out_step + channels->block * m->block_step +
                           (ptrdiff_t)first * CHANNEL_BLOCK;
                kernels->pixels[channels->blocks - 1][past - first - 1](&tile);
            }
        }
    }
}

static void transform_out(
    const struct maps *m, const struct memory *memory, int64_t first, int count) {
    static const float zero[CHANNEL_BLOCK] __attribute__((aligned(MEMORY_ALIGNMENT)));
    int blocks = shape_blocks(m->out->channels), size = m->c->winograd->output;
    for (int i = 0; i < count; i++) {
        struct place place = place_of(m, first + i);
        int rows = m->to->shape.height - place.row, columns = m->to->shape.width - place.column;
        for (int b = 0; b < blocks; b++) {
            m->c->winograd->output_pixels(
                tensor_at(m->to, place.picture, b, place.row, place.column), m->to->row_stride,
                rows < size ? rows : size, columns < size ? columns : size,
                memory->out + b * m->block_step + (ptrdiff_t)i * CHANNEL_BLOCK, m->out_step,
                m->initial != NULL ? m->initial + (ptrdiff_t)b * CHANNEL_BLOCK : zero);
        }
    }
}

static void run_maps(struct maps *m, const float *weights, int pictures,
    const struct epilogue *epilogue, void *scratch) {
    const struct convolution *c = m->c;
    m->rows = winograd_tiles(c->winograd, m->to->shape.height);
    m->columns = winograd_tiles(c->winograd, m->to->shape.width);
    m->tiles = (int64_t)m->rows * m->columns * pictures;
    m->group = group_limit(c);
    m->block_step = (ptrdiff_t)m->group * CHANNEL_BLOCK;
    m->in_step =
        (ptrdiff_t)winograd_step((size_t)shape_blocks(m->in->channels) * (size_t)m->block_step);
    m->out_step =
        (ptrdiff_t)winograd_step((size_t)shape_blocks(m->out->channels) * (size_t)m->block_step);
    m->weights = scratch;
    m->weights_step = (ptrdiff_t)weights_step(c);
    char *own = (char *)scratch + weights_floats(c) * sizeof(float);
#pragma omp parallel num_threads(c->threads)
    {
        cpu_flush_denormals();
        int thread = omp_get_thread_num(), threads = omp_get_num_threads();
        struct memory memory;
        size_t bytes = place_memory(&memory, own, c);
        place_memory(&memory, own + (size_t)thread * bytes, c);
        transform_weights(m, weights, memory.room, thread, threads);
#pragma omp barrier
        int64_t from = m->tiles * thread / threads, to = m->tiles * (thread + 1) / threads;
        int64_t groups = (to - from + m->group - 1) / m->group;
        for (int64_t g = 0; g < groups; g++) {
            int64_t first = from + (to - from) * g / groups;
            int count = (int)(from + (to - from) * (g + 1) / groups - first);
            transform_in(m, &memory, first, count);
            multiply(m, &memory, count);
            transform_out(m, &memory, first, count);
        }
        if (epilogue != NULL) {
#pragma omp barrier
            epilogue_share(epilogue, m->to->shape, pictures, thread, threads);
        }
    }
}

void winograd_forward(const struct tensor *output, const struct tensor *input, const float *weights,
    const float *bias, int pictures, const struct convolution *convolution,
    const struct epilogue *epilogue, void *scratch) {
    struct maps maps = {
        .c = convolution,
        .in = &convolution->input,
        .out = &convolution->output,
        .from = input,
        .to = output,
        .pad_height = convolution->height.pad,
        .pad_width = convolution->width.pad,
        .initial = bias,
    };
    run_maps(&maps, weights, pictures, epilogue, scratch);
}

void winograd_backward_data(const struct tensor *input_gradient,
    const struct tensor *output_gradient, const float *weights, const float *bias, int pictures,
    const struct convolution *convolution, const struct epilogue *epilogue, void *scratch) {
    struct maps maps = {
        .c = convolution,
        .in = &convolution->output,
        .out = &convolution->input,
        .from = output_gradient,
        .to = input_gradient,
        .initial = bias,
        .pad_height = convolution->winograd->kernel - 1 - convolution->height.pad,
        .pad_width = convolution->winograd->kernel - 1 - convolution->width.pad,
    };
    run_maps(&maps, weights, pictures, epilogue, scratch);
}
