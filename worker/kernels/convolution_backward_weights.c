#include "base/cpu.h"
#include "worker/kernels/convolution_plan.h"

#include <omp.h>
#include <string.h>

/* See convolution.h for what a chain is: CHAIN_PIXELS is the fewest that are worth the fold, and
 * whole pictures of 2 * CUT_PIXELS are cut. */
#define CHAIN_PIXELS 128
#define CUT_PIXELS   512
/* Partial tiles of this size, a few of them, stay in a second-level cache of 512 KB. */
#define ITEM_BYTES 65536

struct chain {
    int first, count; /* of the blocks of pixels that are its runs */
};

/* The chains of a pass, the same for every tile. */
struct chains {
    struct product_block *blocks; /* runs of output pixels */
    struct chain *chain;
    int *leaf; /* [leaves + 1]: chains leaf[l] .. leaf[l + 1] - 1 are those of leaf l */
    ptrdiff_t a_step, b_step;
};

/* What one thread does at a time: consecutive rows of packed weights of one output tile, where a
 * row is [kw][16][width] for one input block and one kernel row. */
struct item {
    const struct channel_tile *tile;
    int first, count; /* rows */
    size_t row_size;  /* floats of one row */
};

static int output_pixels(const struct convolution *c) {
    return c->height.output * c->width.output;
}

static int chains_of_picture(const struct convolution *c) {
    int chains = output_pixels(c) / CUT_PIXELS;
    return chains < c->height.output ? chains : c->height.output;
}

/* At most, of one leaf or of a whole pass. */
static size_t most_chains(const struct convolution *c) {
    int chains = chains_of_picture(c);
    return (size_t)c->pictures * (size_t)(chains > 1 ? chains : 1);
}

static int item_rows(const struct convolution *c, const struct channel_tile *tile) {
    size_t bytes =
        (size_t)c->width.kernel * CHANNEL_BLOCK * (size_t)channel_tile_width(tile) * sizeof(float);
    int rows = bytes < ITEM_BYTES ? (int)(ITEM_BYTES / bytes) : 1;
    int all = tile->other_blocks * c->height.kernel;
    return rows < all ? rows : all;
}

/* Bytes of one item, the largest. */
static size_t item_bytes(const struct convolution *c) {
    size_t most = 0;
    for (int t = 0; t < c->output.tiles; t++) {
        const struct channel_tile *tile = &c->output.tile[t];
        size_t bytes = (size_t)item_rows(c, tile) * (size_t)c->width.kernel * CHANNEL_BLOCK *
                       (size_t)channel_tile_width(tile) * sizeof(float);
        most = bytes > most ? bytes : most;
    }
    return convolution_align(most);
}

static int levels(size_t number) {
    int count = 0;
    while (((size_t)1 << count) < number) {
        count++;
    }
    return count;
}

/* Partial sums that wait at one time: those of the leaf tree and those of the chains in a leaf. */
static size_t most_slots(const struct convolution *c) {
    return (size_t)(levels((size_t)c->leaves) + levels(most_chains(c)) + 3);
}

static size_t place_chains(struct chains *chains, void *memory, const struct convolution *c) {
    char *next = memory;
    chains->blocks = (void *)next;
    size_t blocks = (size_t)c->pictures * (size_t)c->height.output;
    next += convolution_align(blocks * sizeof(struct product_block));
    chains->chain = (void *)next;
    next += convolution_align(most_chains(c) * sizeof(struct chain));
    chains->leaf = (void *)next;
    next += convolution_align(((size_t)c->leaves + 1) * sizeof(int));
    return (size_t)(next - (char *)memory);
}

size_t convolution_backward_weights_scratch(const struct convolution *convolution) {
    static char nowhere;
    struct chains chains;
    return place_chains(&chains, &nowhere, convolution) +
           (size_t)convolution->threads * most_slots(convolution) * item_bytes(convolution);
}

/* Appends the runs of output rows [row, past_row) of pictures [picture, past); always in the order
 * picture, row, column, in as few runs as the strides allow. */
static int list_pixels(struct product_block *blocks, int count, const struct chains *chains,
    const struct convolution *c, const struct tensor *input, const struct tensor *gradient,
    int picture, int past, int row, int past_row) {
    ptrdiff_t a_row = c->height.stride * input->row_stride, b_row = gradient->row_stride;
    if (output_pixels(c) == 1) {
        blocks[count++] = (struct product_block){
            picture * input->picture_stride, picture * gradient->picture_stride, past - picture};
        return count;
    }
    bool columns = c->width.output == 1 || (a_row == c->width.output * chains->a_step &&
                                               b_row == c->width.output * chains->b_step);
    for (; picture < past; picture++) {
        ptrdiff_t a = picture * input->picture_stride, b = picture * gradient->picture_stride;
        if (columns) {
            blocks[count++] = (struct product_block){
                a + row * a_row, b + row * b_row, (past_row - row) * c->width.output};
            continue;
        }
        for (int r = row; r < past_row; r++) {
            blocks[count++] = (struct product_block){a + r * a_row, b + r * b_row, c->width.output};
        }
    }
    return count;
}

static void list_chains(struct chains *chains, const struct convolution *c,
    const struct tensor *input, const struct tensor *gradient, const struct pass *pass) {
    int pixels = output_pixels(c), height = c->height.output, cut = chains_of_picture(c);
    int group = pixels < CHAIN_PIXELS ? (CHAIN_PIXELS + pixels - 1) / pixels : 1;
    int count = 0, blocks = 0;
    chains->a_step = pixels == 1            ? input->picture_stride
                     : c->width.output == 1 ? c->height.stride * input->row_stride
                                            : (ptrdiff_t)c->width.stride * CHANNEL_BLOCK;
    chains->b_step = pixels == 1            ? gradient->picture_stride
                     : c->width.output == 1 ? gradient->row_stride
                                            : CHANNEL_BLOCK;
    for (int leaf = 0; leaf < pass->leaves; leaf++) {
        chains->leaf[leaf] = count;
        int past = pass->leaf_start[leaf + 1];
        for (int picture = pass->leaf_start[leaf]; picture < past; picture += group) {
            int last = past - picture < group ? past : picture + group;
            int pieces = cut > 1 ? cut : 1;
            for (int piece = 0; piece < pieces; piece++) {
                int row = (int)((int64_t)piece * height / pieces);
                int past_row = (int)((int64_t)(piece + 1) * height / pieces);
                int start = blocks;
                blocks = list_pixels(chains->blocks, blocks, chains, c, input, gradient, picture,
                    last, row, past_row);
                chains->chain[count++] = (struct chain){start, blocks - start};
            }
        }
    }
    chains->leaf[pass->leaves] = count;
}

/* Runs `tile` with `rows` rows in all, as even register tiles as they go. */
static void run_rows(struct product_tile tile, int rows, int vectors, const struct convolution *c) {
    int most = c->kernels->product.weights_rows, tiles = (rows + most - 1) / most;
    const float *a = tile.a;
    float *out = tile.out;
    for (int i = 0; i < tiles; i++) {
        int first = i * rows / tiles, past = (i + 1) * rows / tiles;
        tile.a = a + first * tile.a_row;
        tile.out = out + first * tile.out_row;
        c->kernels->product.tile[vectors - 1][past - first - 1](&tile);
    }
}

/* The sum over one chain of all rows of an item, written or added to `out`. */
static void sum_chain(float *out, bool add, const struct item *item, const struct chain *chain,
    const struct chains *chains, const struct convolution *c, const struct tensor *input,
    const struct tensor *gradient) {
    int width = channel_tile_width(item->tile), kernel = c->width.kernel;
    ptrdiff_t tap = (ptrdiff_t)c->width.dilation * CHANNEL_BLOCK;
    struct product_tile tile = {
        .b = tensor_at(gradient, 0, item->tile->block, 0, 0),
        .blocks = chains->blocks + chain->first,
        .count = chain->count,
        .a_step = chains->a_step,
        .b_step = chains->b_step,
        .b_vector = gradient->block_stride,
        .out_vector = CHANNEL_BLOCK,
        .add = add,
    };
    for (int row = item->first; row < item->first + item->count; row++) {
        int block = item->tile->other_block + row / c->height.kernel;
        int left = channel_block_left(c->input.channels, block);
        const float *a = tensor_at(input, 0, block,
            row % c->height.kernel * c->height.dilation - c->height.pad, -c->width.pad);
        float *to = out + (size_t)(row - item->first) * item->row_size;
        /* With few channels (a first layer) the taps of the row fill a register tile better. */
        bool taps = kernel > left && left < CHANNEL_BLOCK / 2;
        tile.a_row = taps ? tap : 1;
        tile.out_row = taps ? (ptrdiff_t)CHANNEL_BLOCK * width : width;
        for (int i = 0; i < (taps ? left : kernel); i++) {
            tile.a = a + (taps ? i : i * tap);
            tile.out = to + (ptrdiff_t)i * (taps ? width : CHANNEL_BLOCK * width);
            run_rows(tile, taps ? kernel : left, item->tile->blocks, c);
        }
    }
}

/* A stack of partial sums of one item; slot 0 is the gradient itself. */
struct slots {
    float *gradient, *memory;
    size_t size; /* floats from a slot to the next */
    size_t used; /* floats of this item */
};

static float *slot_at(const struct slots *slots, int number) {
    return number == 0 ? slots->gradient : slots->memory + (size_t)(number - 1) * slots->size;
}

/* The sum over chains [first, past) of a leaf, in slot `bottom`. After n chains the stack holds one
 * partial for each bit of n; an odd chain is added to the one before it as it is computed. */
static void sum_leaf(const struct slots *slots, int bottom, int first, int past,
    const struct item *item, const struct chains *chains, const struct convolution *c,
    const struct tensor *input, const struct tensor *gradient) {
    int top = bottom - 1;
    for (int chain = first; chain < past; chain++) {
        bool odd = (chain - first) % 2 == 1;
        top += odd ? 0 : 1;
        sum_chain(
            slot_at(slots, top), odd, item, &chains->chain[chain], chains, c, input, gradient);
        for (int half = (chain - first + 1) / 2; odd && half % 2 == 0; half /= 2) {
            c->kernels->elementwise.add(slot_at(slots, top - 1), slot_at(slots, top), slots->used);
            top--;
        }
    }
    for (; top > bottom; top--) {
        c->kernels->elementwise.add(slot_at(slots, top - 1), slot_at(slots, top), slots->used);
    }
}

/* The sum over a subtree, in slot 0; a node with an empty child is its other child. */
static void sum_subtree(const struct slots *slots, struct subtree subtree, const struct item *item,
    const struct chains *chains, const struct convolution *c, const struct tensor *input,
    const struct tensor *gradient) {
    struct tree_counter counter = {0};
    bool empty[TREE_SUBTREES_LIMIT];
    for (int leaf = 0; leaf < subtree.leaves; leaf++) {
        const int *chain = chains->leaf + subtree.first + leaf;
        int into, from, slot = tree_counter_push(&counter, (struct subtree){leaf, 1});
        empty[slot] = chain[0] == chain[1];
        if (!empty[slot]) {
            sum_leaf(slots, slot, chain[0], chain[1], item, chains, c, input, gradient);
        }
        while (tree_counter_merge(&counter, &into, &from)) {
            if (empty[from]) {
                continue;
            }
            if (empty[into]) {
                memcpy(slot_at(slots, into), slot_at(slots, from), slots->used * sizeof(float));
                empty[into] = false;
            } else {
                c->kernels->elementwise.add(
                    slot_at(slots, into), slot_at(slots, from), slots->used);
            }
        }
    }
    if (empty[0]) {
        memset(slots->gradient, 0, slots->used * sizeof(float));
    }
}

/* Zeroes the rows of input channels that do not exist, which nobody computed. */
static void clear_padding(float *gradient, const struct item *item, const struct convolution *c) {
    size_t width = (size_t)channel_tile_width(item->tile);
    for (int row = 0; row < item->count; row++) {
        int block = item->tile->other_block + (item->first + row) / c->height.kernel;
        size_t left = (size_t)channel_block_left(c->input.channels, block);
        for (int kw = 0; kw < c->width.kernel; kw++, gradient += CHANNEL_BLOCK * width) {
            memset(gradient + left * width, 0, (CHANNEL_BLOCK - left) * width * sizeof(float));
        }
    }
}

/* Zeroes what crosses groups. */
static void clear_between_groups(
    float *gradient, const struct item *item, const struct convolution *c) {
    int width = channel_tile_width(item->tile);
    int in = c->shape.input.channels / c->shape.groups;
    int out = c->shape.output_channels / c->shape.groups;
    for (int row = 0; row < item->count; row++) {
        int block = item->tile->other_block + (item->first + row) / c->height.kernel;
        for (int lane = 0; lane < c->width.kernel * CHANNEL_BLOCK; lane++) {
            int group = (block * CHANNEL_BLOCK + lane % CHANNEL_BLOCK) / in;
            for (int o = 0; o < width; o++, gradient++) {
                if ((item->tile->block * CHANNEL_BLOCK + o) / out != group) {
                    *gradient = 0.0f;
                }
            }
        }
    }
}

static int items_of(const struct convolution *c, const struct channel_tile *tile) {
    int rows = item_rows(c, tile);
    return (tile->other_blocks * c->height.kernel + rows - 1) / rows;
}

/* Item `number` of one output tile: rows dealt evenly. */
static struct item item_at(
    const struct convolution *c, const struct channel_tile *tile, int number) {
    int rows = tile->other_blocks * c->height.kernel, items = items_of(c, tile);
    int first = (int)((int64_t)number * rows / items);
    int past = (int)((int64_t)(number + 1) * rows / items);
    return (struct item){tile, first, past - first,
        (size_t)c->width.kernel * CHANNEL_BLOCK * (size_t)channel_tile_width(tile)};
}

static void sum_item(float *const *gradient, const struct item *item, const struct chains *chains,
    const struct pass *pass, const struct convolution *c, const struct tensor *input,
    const struct tensor *output_gradient, float *memory) {
    size_t place = item->tile->offset + (size_t)item->first * item->row_size;
    struct slots slots = {
        .memory = memory,
        .size = item_bytes(c) / sizeof(float),
        .used = (size_t)item->count * item->row_size,
    };
    for (int s = 0; s < pass->subtrees; s++) {
        slots.gradient = gradient[s] + place;
        sum_subtree(&slots, pass->subtree[s], item, chains, c, input, output_gradient);
        if (c->input.channels % CHANNEL_BLOCK != 0) {
            clear_padding(slots.gradient, item, c);
        }
        if (c->masked) {
            clear_between_groups(slots.gradient, item, c);
        }
    }
}

void convolution_backward_weights(float *const *gradient, const struct tensor *input,
    const struct tensor *output_gradient, const struct pass *pass,
    const struct convolution *convolution, void *scratch) {
    const struct convolution *c = convolution;
    if (c->engine == ENGINE_BLAS) {
        convolution_blas_backward_weights(
            gradient, input, output_gradient, pass, convolution, scratch);
        return;
    }
    struct chains chains;
    char *slots = (char *)scratch + place_chains(&chains, scratch, c);
    size_t slots_bytes = most_slots(c) * item_bytes(c);
    list_chains(&chains, c, input, output_gradient, pass);
    int total = 0;
    for (int t = 0; t < c->output.tiles; t++) {
        total += items_of(c, &c->output.tile[t]);
    }
#pragma omp parallel num_threads(c->threads)
    {
        cpu_flush_denormals();
        int thread = omp_get_thread_num(), threads = omp_get_num_threads();
        float *memory = (float *)(void *)(slots + (size_t)thread * slots_bytes);
        int from = (int)((int64_t)total * thread / threads);
        int to = (int)((int64_t)total * (thread + 1) / threads), number = 0;
        for (int t = 0; t < c->output.tiles; t++) {
            int items = items_of(c, &c->output.tile[t]);
            for (int i = 0; i < items; i++, number++) {
                if (number >= from && number < to) {
                    struct item item = item_at(c, &c->output.tile[t], i);
                    sum_item(gradient, &item, &chains, pass, c, input, output_gradient, memory);
                }
            }
        }
    }
}
