#include "base/cpu.h"
#include "worker/kernels/convolution_operand.h"
#include "worker/kernels/winograd_plan.h"

#include <omp.h>
#include <string.h>

/* See convolution.h for what a chain is: CHAIN_PIXELS is the fewest that are worth the fold, and
 * whole pictures of 2 * CUT_PIXELS are cut. */
#define CHAIN_PIXELS 128
#define CUT_PIXELS   512
/* A chain is summed in pieces of at most so many pixels (or one row), so that what a piece reads of
 * one block of inputs and two of gradients stays in a first-level cache. Changes no bit. Sets of
 * small tiles read less in a cycle and take a chain of neighbours as a whole: 5 to 7 % faster on
 * AVX2, where hardware looks ahead (strided ones take 6 to 8 % longer that way). */
#define PIECE_PIXELS 208
/* Partial sums of this size, a few of them, stay in a second-level cache beside the pixels of two
 * chains: with twice as much 1x1 layers take 1 to 4 % longer. */
#define ITEM_BYTES 65536
/* Products with a tile in whose time 16 channels of a pixel come from memory. */
#define READ_PRODUCTS 6.4

struct chain {
    int first, count; /* of the blocks of pixels that are its runs */
};

/* The chains of a pass, the same for every tile. */
struct chains {
    const struct operand *input, *gradient;
    struct product_block *blocks; /* runs of output pixels, and one more, to look ahead */
    struct chain *chain;
    int *leaf; /* [leaves + 1]: chains leaf[l] .. leaf[l + 1] - 1 are those of leaf l */
    ptrdiff_t a_step, b_step; /* from one pixel to the next */
};

/* What one thread does at a time: the same rows of packed weights of some neighbouring output
 * tiles, where a row is [kw][16][width] for one input block and one kernel row. All of it is summed
 * over one chain before the next, so that a chain's pixels come from memory once for each item. */
struct item {
    const struct channel_tile *tile;
    int tiles;
    int first, count; /* rows */
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

static int pieces_of(int pixels, const struct chains *chains, const struct convolution *c) {
    bool small = c->kernels->product.lanes == CHANNEL_BLOCK && !c->depthwise;
    bool whole = small && chains->a_step == CHANNEL_BLOCK;
    return whole ? 1 : (pixels + PIECE_PIXELS - 1) / PIECE_PIXELS;
}

/* Floats of one row. */
static size_t row_size(const struct convolution *c, const struct channel_tile *tile) {
    int lanes = c->width.kernel * convolution_lanes(c);
    return (size_t)lanes * (size_t)channel_tile_width(tile);
}

static int divide_up(int a, int b) {
    return (a + b - 1) / b;
}

/* Time of the thread that has most to do, with items of `tiles` x `rows` out of `all` rows, in
 * products of one row with one tile. */
static double plan_cost(const struct convolution *c, int tiles, int rows, int all) {
    int columns = divide_up(c->output.tiles, tiles), groups = divide_up(all, rows);
    int items_each = divide_up(columns * groups, c->threads);
    tiles = divide_up(c->output.tiles, columns);
    rows = divide_up(all, groups);
    int blocks = 2 * tiles + divide_up(rows, c->height.kernel); /* that an item reads */
    double read = READ_PRODUCTS / (convolution_lanes(c) * c->width.kernel);
    return items_each * (tiles * rows + read * blocks);
}

/* Chooses the size of items: at most ITEM_BYTES, shared evenly by the threads, and of a form that
 * reads few pixels for its number of products. Changes no bit. */
static void plan_items(struct convolution *c) {
    size_t budget = ITEM_BYTES / (row_size(c, &c->output.tile[0]) * sizeof(float));
    int most_tiles = c->shape.groups > 1 ? 1 : c->output.tiles, kernel = c->height.kernel;
    int all = 0;
    for (int t = 0; t < c->output.tiles; t++) {
        int rows = c->output.tile[t].other_blocks * kernel;
        all = rows > all ? rows : all;
    }
    double best = 0.0;
    for (int tiles = 1; tiles <= most_tiles && (tiles == 1 || (size_t)tiles <= budget); tiles++) {
        for (int rows = 1; rows <= all && (rows == 1 || (size_t)(tiles * rows) <= budget);
             rows += rows < kernel ? 1 : kernel) {
            double cost = plan_cost(c, tiles, rows, all);
            if ((tiles == 1 && rows == 1) || cost < best) {
                best = cost;
                c->item_tiles = tiles;
                c->item_rows = rows;
            }
        }
    }
}

/* Floats of one item, the largest. */
static size_t item_size(const struct convolution *c) {
    return (size_t)c->item_tiles * (size_t)c->item_rows * row_size(c, &c->output.tile[0]);
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
    return (size_t)(levels((size_t)c->leaves) + levels(most_chains(c)) + 5);
}

static size_t place_chains(struct chains *chains, void *memory, const struct convolution *c) {
    char *next = memory;
    chains->blocks = (void *)next;
    size_t blocks = (size_t)c->pictures * (size_t)c->height.output + 1;
    next += convolution_align(blocks * sizeof(struct product_block));
    chains->chain = (void *)next;
    next += convolution_align(most_chains(c) * sizeof(struct chain));
    chains->leaf = (void *)next;
    next += convolution_align(((size_t)c->leaves + 1) * sizeof(int));
    return (size_t)(next - (char *)memory);
}

size_t convolution_backward_weights_scratch(struct convolution *convolution) {
    static char nowhere;
    struct chains chains;
    plan_items(convolution);
    return place_chains(&chains, &nowhere, convolution) + operand_input_bytes(convolution) +
           operand_gradient_bytes(convolution) +
           (size_t)convolution->threads * most_slots(convolution) * item_size(convolution) *
               sizeof(float);
}

/* Appends the runs of output rows [row, past_row) of pictures [picture, past); always in the order
 * picture, row, column, in as few runs as the strides and pieces allow. */
static int list_pixels(struct product_block *blocks, int count, const struct chains *chains,
    const struct convolution *c, int picture, int past, int row, int past_row) {
    const struct operand *in = chains->input, *out = chains->gradient;
    if (output_pixels(c) == 1) {
        blocks[count++] = (struct product_block){
            .a = picture * in->picture, .b = picture * out->picture, .run = past - picture};
        return count;
    }
    bool columns = c->width.output == 1 || (in->row == c->width.output * chains->a_step &&
                                               out->row == c->width.output * chains->b_step);
    int rows = past_row - row, pieces = pieces_of(rows * c->width.output, chains, c);
    int most = columns ? (rows + pieces - 1) / pieces : 1;
    for (; picture < past; picture++) {
        ptrdiff_t a = picture * in->picture, b = picture * out->picture;
        for (int r = row; r < past_row; r += most) {
            rows = past_row - r < most ? past_row - r : most;
            blocks[count++] = (struct product_block){
                .a = a + r * in->row, .b = b + r * out->row, .run = rows * c->width.output};
        }
    }
    return count;
}

static void list_chains(
    struct chains *chains, const struct convolution *c, const struct pass *pass) {
    const struct operand *in = chains->input, *out = chains->gradient;
    int pixels = output_pixels(c), height = c->height.output, cut = chains_of_picture(c);
    int group = pixels < CHAIN_PIXELS ? (CHAIN_PIXELS + pixels - 1) / pixels : 1;
    int count = 0, blocks = 0;
    chains->a_step = pixels == 1 ? in->picture : c->width.output == 1 ? in->row : in->column;
    chains->b_step = pixels == 1 ? out->picture : c->width.output == 1 ? out->row : out->column;
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
                blocks =
                    list_pixels(chains->blocks, blocks, chains, c, picture, last, row, past_row);
                chains->chain[count++] = (struct chain){start, blocks - start};
            }
        }
    }
    chains->leaf[pass->leaves] = count;
    chains->blocks[blocks] = blocks > 0 ? chains->blocks[blocks - 1] : (struct product_block){0};
}

/* Runs `tile` with `rows` rows in all, as even register tiles as they go, of at most `most`;
 * changes `tile` (a copy of it for each of them took a twentieth of the time). */
static void run_rows(
    struct product_tile *tile, product_run *const *run, ptrdiff_t a_ahead, int rows, int most) {
    int tiles = (rows + most - 1) / most;
    for (int i = 0, first = 0; i < tiles; i++) {
        int past = (i + 1) * rows / tiles, count = past - first;
        tile->a_ahead = i % 2 == 0 ? 0 : a_ahead; /* in turns: gradients, inputs */
        run[count - 1](tile);
        tile->a += count;
        tile->out += count * tile->out_row;
        if (tile->initial != NULL) {
            tile->initial += count * tile->initial_row;
        }
        first = past;
    }
}

/* Partial sums of one item, a stack; slot 0 is the gradient itself (but for narrow inputs and
 * depthwise ones). A slot has one piece for each output tile of the item. */
struct slots {
    float *gradient; /* packed; NULL: slot 0 is memory too */
    float *memory;
    size_t size; /* floats from a slot to the next */
    const struct item *item;
    const struct convolution *c;
};

static size_t piece_size(const struct slots *slots, int number) {
    return (size_t)slots->item->count * row_size(slots->c, &slots->item->tile[number]);
}

static float *piece_at(const struct slots *slots, int slot, int number) {
    const struct item *item = slots->item;
    if (slot == 0 && slots->gradient != NULL) {
        return slots->gradient + item->tile[number].offset +
               (size_t)item->first * row_size(slots->c, &item->tile[number]);
    }
    return slots->memory + (size_t)slot * slots->size + (size_t)number * piece_size(slots, 0);
}

static void slot_add(const struct slots *slots, int into, int from) {
    for (int i = 0; i < slots->item->tiles; i++) {
        slots->c->kernels->elementwise.add(
            piece_at(slots, into, i), piece_at(slots, from, i), piece_size(slots, i));
    }
}

static void slot_copy(const struct slots *slots, int into, int from) {
    for (int i = 0; i < slots->item->tiles; i++) {
        memcpy(piece_at(slots, into, i), piece_at(slots, from, i),
            piece_size(slots, i) * sizeof(float));
    }
}

/* Where sums start, where they go, and whether they are added to what is there. */
struct places {
    const float *initial; /* NULL: zero */
    float *out;
    bool add;
};

/* The same as sum_piece of a depthwise convolution, whose items are of one block. */
static void sum_depthwise(struct places places, const struct item *item,
    const struct channel_tile *channels, const struct chain *piece, const struct chains *chains,
    const struct convolution *c) {
    const struct operand *in = chains->input, *out = chains->gradient;
    const struct depthwise_sum sum = {
        .input = in->data + channels->block * in->block + item->first * in->tap_row,
        .gradient = out->data + channels->block * out->block,
        .blocks = chains->blocks + piece->first,
        .count = piece->count,
        .input_step = chains->a_step,
        .gradient_step = chains->b_step,
        .taps = {.rows = item->count,
            .columns = c->width.kernel,
            .row_step = in->tap_row,
            .column_step = in->tap_column},
        .initial = places.initial,
        .out = places.out,
        .add = places.add,
    };
    c->kernels->depthwise.sums(&sum);
}

/* The sum over one piece of all rows of an item for one output tile. */
static void sum_piece(struct places places, const struct item *item,
    const struct channel_tile *channels, const struct chain *piece, const struct chains *chains,
    const struct convolution *c) {
    int width = channel_tile_width(channels), kernel = c->width.kernel;
    int lanes = convolution_lanes(c);
    const struct operand *in = chains->input, *out = chains->gradient;
    const struct product_block *piece_start = chains->blocks + piece->first;
    struct product_tile tile = {
        .b = out->data + channels->block * out->block,
        .blocks = piece_start,
        .count = piece->count,
        .a_stride = chains->a_step,
        .b_step = chains->b_step,
        .b_vector = out->block,
        .out_row = width,
        .out_vector = CHANNEL_BLOCK,
        .initial_row = width,
        .add = places.add,
        .b_ahead = piece_start[piece->count].b - piece_start->b,
    };
    const struct product_kernels *kernels = &c->kernels->product;
    product_run *const *run = kernels->weights[channels->blocks - 1];
    ptrdiff_t a_ahead = piece_start[piece->count].a - piece_start->a;
    for (int row = item->first; row < item->first + item->count; row++) {
        int block = channels->other_block + row / c->height.kernel;
        int left = channel_block_left(c->input.channels, block);
        const float *a = in->data + block * in->block + row % c->height.kernel * in->tap_row;
        ptrdiff_t to = (ptrdiff_t)((size_t)(row - item->first) * row_size(c, channels));
        /* The inputs of all taps of the row lie one after the other where nothing is between. */
        bool all = left == lanes && in->tap_column == left;
        for (int i = 0; i < (all ? 1 : kernel); i++) {
            tile.a = a + i * in->tap_column;
            tile.out = places.out + to;
            tile.initial = places.initial != NULL ? places.initial + to : NULL;
            run_rows(&tile, run, a_ahead, all ? kernel * left : left, kernels->rows);
            to += (ptrdiff_t)lanes * width;
        }
    }
}

/* The sum over one chain in slot `into`, written or added; a sum that is added grows in the slot
 * above. */
static void sum_chain(const struct slots *slots, int into, bool add, const struct chain *chain,
    const struct chains *chains) {
    const struct item *item = slots->item;
    int past = chain->first + chain->count, pixels = 0, done = 0;
    for (int r = chain->first; r < past; r++) {
        pixels += chains->blocks[r].run;
    }
    int pieces = pieces_of(pixels, chains, slots->c), number = 1;
    for (struct chain piece = {chain->first, 0}; piece.first < past; piece.first += piece.count) {
        int mark = (int)((int64_t)pixels * number++ / pieces);
        for (piece.count = 0; piece.first + piece.count < past; piece.count++) {
            int run = chains->blocks[piece.first + piece.count].run;
            if (piece.count > 0 && done + run / 2 > mark) {
                break;
            }
            done += run;
        }
        bool first = piece.first == chain->first, last = piece.first + piece.count == past;
        for (int i = 0; i < item->tiles; i++) {
            float *grow = piece_at(slots, into + (add ? 1 : 0), i);
            struct places places = {
                first ? NULL : grow, last ? piece_at(slots, into, i) : grow, last && add};
            (slots->c->depthwise ? sum_depthwise : sum_piece)(
                places, item, &item->tile[i], &piece, chains, slots->c);
        }
    }
}

/* The sum over chains [first, past) of a leaf, in slot `bottom`. After n chains the stack holds one
 * partial for each bit of n; an odd chain is added to the one before it as it is computed. */
static void sum_leaf(
    const struct slots *slots, int bottom, int first, int past, const struct chains *chains) {
    int top = bottom - 1;
    for (int chain = first; chain < past; chain++) {
        bool odd = (chain - first) % 2 == 1;
        top += odd ? 0 : 1;
        sum_chain(slots, top, odd, &chains->chain[chain], chains);
        for (int half = (chain - first + 1) / 2; odd && half % 2 == 0; half /= 2) {
            slot_add(slots, top - 1, top);
            top--;
        }
    }
    for (; top > bottom; top--) {
        slot_add(slots, top - 1, top);
    }
}

/* The sum over a subtree, in slot 0; a node with an empty child is its other child. */
static void sum_subtree(
    const struct slots *slots, struct subtree subtree, const struct chains *chains) {
    struct tree_counter counter = {0};
    bool empty[TREE_SUBTREES_LIMIT];
    for (int leaf = 0; leaf < subtree.leaves; leaf++) {
        const int *chain = chains->leaf + subtree.first + leaf;
        int into, from, slot = tree_counter_push(&counter, (struct subtree){leaf, 1});
        empty[slot] = chain[0] == chain[1];
        if (!empty[slot]) {
            sum_leaf(slots, slot, chain[0], chain[1], chains);
        }
        while (tree_counter_merge(&counter, &into, &from)) {
            if (!empty[from] && empty[into]) {
                slot_copy(slots, into, from);
                empty[into] = false;
            } else if (!empty[from]) {
                slot_add(slots, into, from);
            }
        }
    }
    for (int i = 0; i < slots->item->tiles && empty[0]; i++) {
        memset(piece_at(slots, 0, i), 0, piece_size(slots, i) * sizeof(float));
    }
}

/* From the sums of a depthwise convolution, which are the diagonals, to packed weights. */
static void place_diagonals(float *gradient, const struct slots *slots) {
    const struct item *item = slots->item;
    int kernel = slots->c->width.kernel, tap_size = CHANNEL_BLOCK * CHANNEL_BLOCK;
    const float *from = piece_at(slots, 0, 0);
    float *to = gradient + item->tile->offset + (ptrdiff_t)item->first * kernel * tap_size;
    memset(to, 0, (size_t)(item->count * kernel * tap_size) * sizeof(float));
    for (int tap = 0; tap < item->count * kernel; tap++, to += tap_size) {
        for (int l = 0; l < CHANNEL_BLOCK; l++) {
            to[l * CHANNEL_BLOCK + l] = *from++;
        }
    }
}

/* From the sums of narrow inputs, which have only the rows that exist, to packed weights. */
static void widen(float *gradient, const struct slots *slots) {
    const struct convolution *c = slots->c;
    const struct item *item = slots->item;
    for (int i = 0; i < item->tiles; i++) {
        const struct channel_tile *tile = &item->tile[i];
        size_t width = (size_t)channel_tile_width(tile), kernel = (size_t)c->width.kernel;
        size_t lanes = (size_t)convolution_lanes(c);
        const float *from = piece_at(slots, 0, i);
        float *to = gradient + tile->offset + (size_t)item->first * kernel * CHANNEL_BLOCK * width;
        for (size_t tap = 0; tap < (size_t)item->count * kernel; tap++) {
            memcpy(to, from, lanes * width * sizeof(float));
            memset(to + lanes * width, 0, (CHANNEL_BLOCK - lanes) * width * sizeof(float));
            from += lanes * width;
            to += CHANNEL_BLOCK * width;
        }
    }
}

/* Zeroes the rows of input channels that do not exist, which nobody computed. */
static void clear_padding(float *gradient, const struct item *item,
    const struct channel_tile *channels, const struct convolution *c) {
    size_t width = (size_t)channel_tile_width(channels);
    for (int row = item->first; row < item->first + item->count; row++) {
        int block = channels->other_block + row / c->height.kernel;
        size_t left = (size_t)channel_block_left(c->input.channels, block);
        for (int kw = 0; kw < c->width.kernel; kw++, gradient += CHANNEL_BLOCK * width) {
            memset(gradient + left * width, 0, (CHANNEL_BLOCK - left) * width * sizeof(float));
        }
    }
}

/* Zeroes what crosses groups. */
static void clear_between_groups(float *gradient, const struct item *item,
    const struct channel_tile *channels, const struct convolution *c) {
    int width = channel_tile_width(channels);
    int in = c->shape.input.channels / c->shape.groups;
    int out = c->shape.output_channels / c->shape.groups;
    for (int row = item->first; row < item->first + item->count; row++) {
        int block = channels->other_block + row / c->height.kernel;
        for (int lane = 0; lane < c->width.kernel * CHANNEL_BLOCK; lane++) {
            int group = (block * CHANNEL_BLOCK + lane % CHANNEL_BLOCK) / in;
            for (int o = 0; o < width; o++, gradient++) {
                if ((channels->block * CHANNEL_BLOCK + o) / out != group) {
                    *gradient = 0.0f;
                }
            }
        }
    }
}

static void sum_item(float *const *gradient, const struct item *item, const struct chains *chains,
    const struct pass *pass, const struct convolution *c, float *memory) {
    bool narrow = c->depthwise || c->gather == GATHER_NARROW;
    struct slots slots = {.memory = memory, .size = item_size(c), .item = item, .c = c};
    for (int s = 0; s < pass->subtrees; s++) {
        slots.gradient = narrow ? NULL : gradient[s];
        sum_subtree(&slots, pass->subtree[s], chains);
        if (narrow) {
            (c->depthwise ? place_diagonals : widen)(gradient[s], &slots);
            continue;
        }
        for (int i = 0; i < item->tiles; i++) {
            if (c->input.channels % CHANNEL_BLOCK != 0) {
                clear_padding(piece_at(&slots, 0, i), item, &item->tile[i], c);
            }
            if (c->masked) {
                clear_between_groups(piece_at(&slots, 0, i), item, &item->tile[i], c);
            }
        }
    }
}

/* The number of items, and the one with number `number`: tiles and rows are dealt evenly. */
static int items(struct item *item, const struct convolution *c, int number) {
    int count = 0, columns = (c->output.tiles + c->item_tiles - 1) / c->item_tiles;
    for (int column = 0; column < columns; column++) {
        int tile = column * c->output.tiles / columns;
        int past = (column + 1) * c->output.tiles / columns;
        int rows = c->output.tile[tile].other_blocks * c->height.kernel;
        int groups = (rows + c->item_rows - 1) / c->item_rows;
        if (item != NULL && number >= count && number < count + groups) {
            int first = (int)((int64_t)(number - count) * rows / groups);
            int past_row = (int)((int64_t)(number - count + 1) * rows / groups);
            *item = (struct item){&c->output.tile[tile], past - tile, first, past_row - first};
        }
        count += groups;
    }
    return count;
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
    if (c->winograd != NULL) {
        winograd_backward_weights(gradient, input, output_gradient, pass, convolution, scratch);
        return;
    }
    size_t input_bytes = operand_input_bytes(c), gradient_bytes = operand_gradient_bytes(c);
    size_t slots_bytes = most_slots(c) * item_size(c) * sizeof(float);
    struct operand in, out;
    struct chains chains = {.input = &in, .gradient = &out};
    char *copies = (char *)scratch + place_chains(&chains, scratch, c);
    char *slots = copies + input_bytes + gradient_bytes;
    int total = items(NULL, c, 0);
#pragma omp parallel num_threads(c->threads)
    {
        cpu_flush_denormals();
        int thread = omp_get_thread_num(), threads = omp_get_num_threads();
        struct operand own_in, own_out; /* all threads' are the same */
        operand_input(&own_in, copies, input, pass->pictures, c, thread, threads);
        operand_gradient(
            &own_out, copies + input_bytes, output_gradient, pass->pictures, c, thread, threads);
#pragma omp master
        {
            in = own_in;
            out = own_out;
            list_chains(&chains, c, pass);
        }
#pragma omp barrier
        float *memory = (float *)(void *)(slots + (size_t)thread * slots_bytes);
        int to = (int)((int64_t)total * (thread + 1) / threads);
        for (int number = (int)((int64_t)total * thread / threads); number < to; number++) {
            struct item item;
            items(&item, c, number);
            sum_item(gradient, &item, &chains, pass, c, memory);
        }
    }
}
