/* Local response normalisation (Krizhevsky, Sutskever, Hinton 2012): y = x / s^beta with s = k +
 * alpha / n * (sum of the squares of the n values about x): those of the same pixel in `size`
 * neighbouring channels, or those of the same channel in a square of `size` pixels (within), what
 * lies outside counting as zero. alpha is divided by n as in Caffe and PyTorch; the paper's is not.
 *
 * dx = dy / s^beta - 2 alpha beta / n * x * (sum, over the windows that x is in, of y dy / s).
 * Only the input is kept: s is summed again in backward.
 */
#include "worker/layer.h"

#include <string.h>

struct lrn_options {
    const char *name;
    int64_t size;
    double alpha, beta, k;
    bool within;
};

#define NUMBER(field, initial_, low_, help_)                                                       \
    {                                                                                              \
        .name = #field, .type = OPTION_REAL, .offset = offsetof(struct lrn_options, field),        \
        .initial = initial_, .low = low_, .high = 1e6, .flags = OPTION_CHANGES_BITS, .help = help_ \
    }
static const struct option lrn_options[] = {
    {.name = "size",
        .type = OPTION_INTEGER,
        .offset = offsetof(struct lrn_options, size),
        .initial = "5",
        .low = 1,
        .high = 255,
        .flags = OPTION_CHANGES_BITS,
        .help = "channels of a window, or pixels of its side"},
    NUMBER(alpha, "0.0001", 0, "of the squares, over the values of a window"),
    NUMBER(beta, "0.75", 0.001, "exponent"), NUMBER(k, "1", 1e-6, "added to the squares"),
    {.name = "within",
        .type = OPTION_SWITCH,
        .offset = offsetof(struct lrn_options, within),
        .initial = "false",
        .flags = OPTION_CHANGES_BITS,
        .help = "windows are pixels of one channel, not channels of one pixel"},
    LAYER_NAME_OPTION, OPTIONS_END};

/* Across: pixels of all blocks at a time, so that what is worked on stays in the first cache (a
 * third faster than whole rows of 56); of five channels, of three blocks at a time, whole rows. */
#define PIECE      8
#define FIVE_PIECE 64

/* What one thread works with, while on a piece of a row or (within) on one block of a picture. */
struct bench {
    float *line;  /* squares between zeros for the windows' overhang: across, [PIECE]
                     [channel_stride]; of five, zeros, [16]; within, of a row, [width + size]
                     [16] */
    float *terms; /* of backward; across, as `line`; of five, of three blocks, [3][FIVE_PIECE]
                     [16]; within, [height][width][16] */
};

static size_t up(size_t floats) {
    return (floats + CHANNEL_BLOCK - 1) / CHANNEL_BLOCK * CHANNEL_BLOCK;
}

static size_t channel_stride(const struct layer *layer) {
    const struct lrn_options *o = layer->options;
    size_t blocks = (size_t)shape_blocks(layer->input[0]->shape.channels);
    return up((size_t)o->size / 2) + up(blocks * CHANNEL_BLOCK + (size_t)o->size / 2);
}

static bool is_five(const struct layer *layer) {
    const struct lrn_options *o = layer->options;
    return !o->within && o->size == 5;
}

static size_t line_floats(const struct layer *layer) {
    const struct lrn_options *o = layer->options;
    size_t width = (size_t)layer->input[0]->shape.width;
    if (is_five(layer)) {
        return CHANNEL_BLOCK;
    }
    return o->within ? (width + (size_t)o->size) * CHANNEL_BLOCK : PIECE * channel_stride(layer);
}

static size_t terms_floats(const struct layer *layer) {
    struct shape shape = layer->input[0]->shape;
    size_t plane = (size_t)shape.height * (size_t)shape.width * CHANNEL_BLOCK;
    if (is_five(layer)) {
        return 3 * FIVE_PIECE * CHANNEL_BLOCK;
    }
    return ((const struct lrn_options *)layer->options)->within ? plane : line_floats(layer);
}

static size_t bench_floats(const struct layer *layer) {
    return line_floats(layer) + terms_floats(layer);
}

static struct bench bench_of(const struct layer *layer, const struct layer_run *run, int thread) {
    float *memory = (float *)run->scratch + (size_t)thread * bench_floats(layer);
    return (struct bench){memory, memory + line_floats(layer)};
}

static struct lrn_numbers numbers_of(const struct layer *layer) {
    const struct lrn_options *o = layer->options;
    double values = (double)(o->within ? o->size * o->size : o->size);
    return (struct lrn_numbers){(float)(o->alpha / values), (float)o->beta, (float)o->k};
}

static status plan(struct layer *layer, const struct layer_plan *plan) {
    layer_plan_same(layer, LAYER_NEEDS_INPUT);
    layer->scratch_bytes = (size_t)plan->threads * bench_floats(layer) * sizeof(float);
    return STATUS_OK;
}

/* Values of a window before its own. The windows that a value is in reach as far the other way. */
static int before(const struct layer *layer, bool backward) {
    int size = (int)((const struct lrn_options *)layer->options)->size;
    return backward ? (size - 1) / 2 : size / 2;
}

/* Across: where channel 0 lies in a line; aligned, since stores across cache lines are slow. */
static ptrdiff_t across_first(const struct layer *layer) {
    return (ptrdiff_t)up((size_t)((const struct lrn_options *)layer->options)->size / 2);
}

/* Pixels [column, column + pixels) of row `row` of a picture. */
struct piece {
    int picture, row, column, pixels;
};

static float *piece_at(const struct tensor *tensor, const struct piece *piece, int block) {
    return tensor_at(tensor, piece->picture, block, piece->row, piece->column);
}

/* Their squares. What lies outside all channels is zero already. */
static void across_squares(const struct layer *layer, const struct layer_run *run,
    const struct bench *bench, const struct piece *piece) {
    const struct tensor *in = &layer->input[0]->activation;
    for (int b = 0; b < shape_blocks(in->shape.channels); b++) {
        run->kernels->lrn.squares(bench->line + across_first(layer) + b * CHANNEL_BLOCK,
            (ptrdiff_t)channel_stride(layer), piece_at(in, piece, b), piece->pixels);
    }
}

static struct lrn_windows across_windows(
    const struct layer *layer, const float *line, int block, bool backward) {
    return (struct lrn_windows){
        .terms = line + across_first(layer) + block * CHANNEL_BLOCK - before(layer, backward),
        .stride = (ptrdiff_t)channel_stride(layer),
        .step = 1,
        .taps = (int)((const struct lrn_options *)layer->options)->size,
    };
}

static void across_forward(const struct layer *layer, const struct layer_run *run,
    const struct bench *bench, const struct piece *piece) {
    const struct tensor *in = &layer->input[0]->activation, *out = &layer->output[0]->activation;
    const struct lrn_numbers numbers = numbers_of(layer);
    across_squares(layer, run, bench, piece);
    for (int b = 0; b < shape_blocks(in->shape.channels); b++) {
        const struct lrn_windows windows = across_windows(layer, bench->line, b, false);
        run->kernels->lrn.normalise(
            piece_at(out, piece, b), piece_at(in, piece, b), &windows, piece->pixels, &numbers);
    }
}

static void across_backward(const struct layer *layer, const struct layer_run *run,
    const struct bench *bench, const struct piece *piece) {
    const struct tensor *in = &layer->input[0]->activation, *dx = &layer->input[0]->gradient;
    const struct tensor *dy = &layer->output[0]->gradient;
    const struct lrn_numbers numbers = numbers_of(layer);
    const int blocks = shape_blocks(in->shape.channels);
    across_squares(layer, run, bench, piece);
    for (int b = 0; b < blocks; b++) {
        const struct lrn_windows windows = across_windows(layer, bench->line, b, false);
        run->kernels->lrn.backward_terms(bench->terms + across_first(layer) + b * CHANNEL_BLOCK,
            (ptrdiff_t)channel_stride(layer), piece_at(dx, piece, b), piece_at(dy, piece, b),
            piece_at(in, piece, b), &windows, piece->pixels, &numbers);
    }
    for (int b = 0; b < blocks; b++) {
        const struct lrn_windows windows = across_windows(layer, bench->terms, b, true);
        run->kernels->lrn.backward_finish(
            piece_at(dx, piece, b), piece_at(in, piece, b), &windows, piece->pixels, &numbers);
    }
}

/* NULL: there is no such block. */
static struct lrn_rows five_rows(
    const struct bench *bench, const float *before, const float *own, const float *after) {
    return (struct lrn_rows){
        .before = before != NULL ? before : bench->line,
        .own = own,
        .after = after != NULL ? after : bench->line,
        .before_step = before != NULL ? CHANNEL_BLOCK : 0,
        .after_step = after != NULL ? CHANNEL_BLOCK : 0,
    };
}

static struct lrn_rows five_inputs(
    const struct layer *layer, const struct bench *bench, const struct piece *piece, int block) {
    const struct tensor *in = &layer->input[0]->activation;
    bool last = block == shape_blocks(in->shape.channels) - 1;
    return five_rows(bench, block > 0 ? piece_at(in, piece, block - 1) : NULL,
        piece_at(in, piece, block), last ? NULL : piece_at(in, piece, block + 1));
}

static void five_forward(const struct layer *layer, const struct layer_run *run,
    const struct bench *bench, const struct piece *piece) {
    const struct tensor *in = &layer->input[0]->activation, *out = &layer->output[0]->activation;
    const struct lrn_numbers numbers = numbers_of(layer);
    for (int b = 0; b < shape_blocks(in->shape.channels); b++) {
        const struct lrn_rows rows = five_inputs(layer, bench, piece, b);
        run->kernels->lrn.five_normalise(piece_at(out, piece, b), &rows, piece->pixels, &numbers);
    }
}

/* A block is finished once the terms of the next are there: those of three lie in a ring. */
static void five_backward(const struct layer *layer, const struct layer_run *run,
    const struct bench *bench, const struct piece *piece) {
    const struct tensor *in = &layer->input[0]->activation, *dx = &layer->input[0]->gradient;
    const struct tensor *dy = &layer->output[0]->gradient;
    const struct lrn_numbers numbers = numbers_of(layer);
    const int blocks = shape_blocks(in->shape.channels);
    float *ring[3];
    for (int i = 0; i < 3; i++) {
        ring[i] = bench->terms + (ptrdiff_t)i * FIVE_PIECE * CHANNEL_BLOCK;
    }
    for (int b = 0; b <= blocks; b++) {
        if (b < blocks) {
            const struct lrn_rows rows = five_inputs(layer, bench, piece, b);
            run->kernels->lrn.five_backward_terms(ring[b % 3], piece_at(dx, piece, b),
                piece_at(dy, piece, b), &rows, piece->pixels, &numbers);
        }
        if (b > 0) {
            const struct lrn_rows terms = five_rows(bench, b > 1 ? ring[(b - 2) % 3] : NULL,
                ring[(b - 1) % 3], b < blocks ? ring[b % 3] : NULL);
            run->kernels->lrn.five_backward_finish(piece_at(dx, piece, b - 1),
                piece_at(in, piece, b - 1), &terms, piece->pixels, &numbers);
        }
    }
}

/* Row `item` over all pictures. */
static void across_item(const struct layer *layer, const struct layer_run *run,
    const struct bench *bench, int item, bool backward) {
    struct shape shape = layer->input[0]->shape;
    const bool five = is_five(layer);
    const int most = five ? FIVE_PIECE : PIECE;
    for (int column = 0; column < shape.width; column += most) {
        int left = shape.width - column;
        const struct piece piece = {
            .picture = item / shape.height,
            .row = item % shape.height,
            .column = column,
            .pixels = left < most ? left : most,
        };
        if (five) {
            (backward ? five_backward : five_forward)(layer, run, bench, &piece);
        } else {
            (backward ? across_backward : across_forward)(layer, run, bench, &piece);
        }
    }
}

/* Within: the windows of row h of a block, from the squares or (terms not NULL) the terms. */
static struct lrn_windows within_windows(const struct layer *layer, const struct layer_run *run,
    const struct bench *bench, const float *terms, int n, int block, int h) {
    const struct tensor *in = &layer->input[0]->activation;
    const size_t row_floats = (size_t)in->shape.width * CHANNEL_BLOCK;
    int size = (int)((const struct lrn_options *)layer->options)->size;
    int first = before(layer, terms != NULL), width = in->shape.width;
    float *own = bench->line + (ptrdiff_t)first * CHANNEL_BLOCK;
    memset(bench->line, 0, line_floats(layer) * sizeof(float));
    for (int row = h - first; row < h - first + size; row++) {
        if (row < 0 || row >= in->shape.height) {
            continue;
        }
        if (terms == NULL) {
            run->kernels->lrn.add_squares(
                own, CHANNEL_BLOCK, tensor_at(in, n, block, row, 0), width);
        } else {
            run->kernels->elementwise.add(own, terms + (size_t)row * row_floats, row_floats);
        }
    }
    return (struct lrn_windows){
        .terms = bench->line, .stride = CHANNEL_BLOCK, .step = CHANNEL_BLOCK, .taps = size};
}

static void within_forward(
    const struct layer *layer, const struct layer_run *run, const struct bench *bench, int item) {
    const struct tensor *in = &layer->input[0]->activation, *out = &layer->output[0]->activation;
    const struct lrn_numbers numbers = numbers_of(layer);
    int blocks = shape_blocks(in->shape.channels), n = item / blocks, b = item % blocks;
    for (int h = 0; h < in->shape.height; h++) {
        const struct lrn_windows windows = within_windows(layer, run, bench, NULL, n, b, h);
        run->kernels->lrn.normalise(tensor_at(out, n, b, h, 0), tensor_at(in, n, b, h, 0), &windows,
            in->shape.width, &numbers);
    }
}

static void within_backward(
    const struct layer *layer, const struct layer_run *run, const struct bench *bench, int item) {
    const struct tensor *in = &layer->input[0]->activation, *dx = &layer->input[0]->gradient;
    const struct lrn_numbers numbers = numbers_of(layer);
    int blocks = shape_blocks(in->shape.channels), n = item / blocks, b = item % blocks;
    ptrdiff_t row = (ptrdiff_t)in->shape.width * CHANNEL_BLOCK;
    for (int h = 0; h < in->shape.height; h++) {
        const struct lrn_windows windows = within_windows(layer, run, bench, NULL, n, b, h);
        run->kernels->lrn.backward_terms(bench->terms + h * row, CHANNEL_BLOCK,
            tensor_at(dx, n, b, h, 0), tensor_at(&layer->output[0]->gradient, n, b, h, 0),
            tensor_at(in, n, b, h, 0), &windows, in->shape.width, &numbers);
    }
    for (int h = 0; h < in->shape.height; h++) {
        const struct lrn_windows windows = within_windows(layer, run, bench, bench->terms, n, b, h);
        run->kernels->lrn.backward_finish(tensor_at(dx, n, b, h, 0), tensor_at(in, n, b, h, 0),
            &windows, in->shape.width, &numbers);
    }
}

/* Block `item` over all pictures. */
static void within_item(const struct layer *layer, const struct layer_run *run,
    const struct bench *bench, int item, bool backward) {
    (backward ? within_backward : within_forward)(layer, run, bench, item);
}

/* All rows of all pictures, or (within) all blocks. */
static void each_item(const struct layer *layer, const struct layer_run *run,
    const struct pass *pass, bool backward) {
    struct shape shape = layer->input[0]->shape;
    bool within = ((const struct lrn_options *)layer->options)->within;
    int64_t items =
        (int64_t)pass->pictures * (within ? shape_blocks(shape.channels) : shape.height);
#pragma omp parallel for num_threads(run->threads) schedule(static, 1)
    for (int thread = 0; thread < run->threads; thread++) {
        const struct bench bench = bench_of(layer, run, thread);
        memset(bench.line, 0, bench_floats(layer) * sizeof(float));
        int64_t past = items * (thread + 1) / run->threads;
        for (int64_t i = items * thread / run->threads; i < past; i++) {
            (within ? within_item : across_item)(layer, run, &bench, (int)i, backward);
        }
    }
}

static void forward(
    const struct layer *layer, const struct layer_run *run, const struct pass *pass) {
    each_item(layer, run, pass, false);
}

static void backward(
    const struct layer *layer, const struct layer_run *run, const struct pass *pass) {
    if (layer->input[0]->gradient.data != NULL) {
        each_item(layer, run, pass, true);
    }
}

const struct layer_operations layer_lrn = {
    .kind = {.name = "lrn",
        .help = "local response normalisation, across channels or within one",
        .options = lrn_options,
        .options_size = sizeof(struct lrn_options)},
    .plan = plan,
    .forward = forward,
    .backward = backward,
};
