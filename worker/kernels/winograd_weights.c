/* Backward-weights. Chain by chain, all threads transform the chain's tiles of input and of the
 * output's gradient; then each multiplies and folds its own part of the weights, which it keeps
 * through the whole pass, so that folding waits for nobody.
 *
 * Where the weights are few and chains many, each thread takes a chain for itself instead, and
 * only the results are shared, to be added in order: with 64 channels the threads would otherwise
 * spend as long on fetching from each other's caches what they transformed as on the products. */
#include "base/cpu.h"
#include "base/tree.h"
#include "worker/kernels/winograd_plan.h"

#include <omp.h>
#include <string.h>

/* A chain is the fewest consecutive pictures of one leaf that make CHAIN_TILES tiles; a picture of
 * twice as many is cut into that many chains of whole tile rows, as even as they go. Enough that
 * transforming a sum back costs little beside its products, few enough that a chain of the largest
 * layers stays in a third-level cache. */
#define CHAIN_TILES 96

/* Bytes of weights up to which threads take chains of their own. */
#define ALONE_BYTES (1 << 20)

struct chains {
    int rows, columns;    /* of tiles, in a picture */
    int pictures, pieces; /* pictures of a chain, chains of a picture: one of them is 1 */
};

static struct chains chains_of(const struct convolution *c) {
    struct chains chains = {winograd_tiles(c->winograd, c->height.output),
        winograd_tiles(c->winograd, c->width.output), 1, 1};
    int64_t tiles = (int64_t)chains.rows * chains.columns, pieces = tiles / CHAIN_TILES;
    chains.pictures = (int)((CHAIN_TILES + tiles - 1) / tiles);
    chains.pieces = pieces < 1 ? 1 : pieces < chains.rows ? (int)pieces : chains.rows;
    return chains;
}

static int chains_of_leaf(const struct chains *chains, int pictures) {
    return (pictures + chains->pictures - 1) / chains->pictures * chains->pieces;
}

/* Chains for each thread alone: few weights, and enough chains for three of four threads to be
 * busy.
 */
static bool is_alone(const struct convolution *c, int pictures) {
    struct chains chains = chains_of(c);
    int64_t count = chains_of_leaf(&chains, pictures);
    int64_t rounds = (count + c->threads - 1) / c->threads;
    return c->threads > 1 && c->packed * sizeof(float) <= ALONE_BYTES &&
           4 * count >= 3 * rounds * c->threads && count > 0;
}

/* Whether any leaf of any pass may be. */
static bool may_be_alone(const struct convolution *c) {
    for (int pictures = 1; pictures <= c->pictures; pictures++) {
        if (is_alone(c, pictures)) {
            return true;
        }
    }
    return false;
}

/* Tiles of the longest chain of a pass. */
static size_t most_tiles(const struct convolution *c) {
    struct chains chains = chains_of(c);
    int pictures = chains.pictures < c->pictures ? chains.pictures : c->pictures;
    int rows = (chains.rows + chains.pieces - 1) / chains.pieces;
    return (size_t)(pictures > 0 ? pictures : 1) * (size_t)rows * (size_t)chains.columns;
}

/* What a thread multiplies at a time: some neighbouring output tiles and input blocks of theirs. */
struct item {
    const struct channel_tile *tile;
    int tiles;
    int first, count; /* input blocks, of the tile's */
};

/* How the weights are cut into items: at most two tiles by two blocks, whose 36 * 32 * 64 sums, 288
 * KB, stay in cache. Changes no bit. */
struct cut {
    int tiles, blocks;
};

static int item_count(const struct convolution *c, struct cut cut) {
    int columns = (c->output.tiles + cut.tiles - 1) / cut.tiles;
    return columns * ((c->output.tile[0].other_blocks + cut.blocks - 1) / cut.blocks);
}

static struct item item_at(const struct convolution *c, struct cut cut, int number) {
    int blocks = c->output.tile[0].other_blocks; /* the same for all tiles */
    int rows = (blocks + cut.blocks - 1) / cut.blocks;
    int tile = number / rows * cut.tiles, first = number % rows * cut.blocks;
    int tiles = c->output.tiles - tile, count = blocks - first;
    return (struct item){
        .tile = &c->output.tile[tile],
        .tiles = tiles < cut.tiles ? tiles : cut.tiles,
        .first = first,
        .count = count < cut.blocks ? count : cut.blocks,
    };
}

static struct cut largest_cut(const struct convolution *c) {
    return (struct cut){c->shape.groups > 1 ? 1 : 2, 2};
}

/* Smaller items where there would be few of them for the threads. */
static struct cut cut_for(const struct convolution *c, int threads) {
    struct cut cut = largest_cut(c);
    if (item_count(c, cut) < 4 * threads) {
        cut.tiles = 1;
    }
    if (item_count(c, cut) < 4 * threads) {
        cut.blocks = 1;
    }
    return cut;
}

/* The sums of an item: for each of its tiles and blocks [frequencies: sums_step][16 input
 * channels][32]. */
static size_t sums_step(void) {
    return winograd_step(CHANNEL_BLOCK * CHANNEL_BLOCK * PRODUCT_VECTORS);
}

static size_t item_floats(const struct convolution *c) {
    struct cut cut = largest_cut(c);
    return (size_t)(cut.tiles * cut.blocks * c->winograd->frequencies) * sums_step();
}

/* Floats from a frequency to the next of a side's transformed tiles. */
static size_t side_step(const struct convolution *c, int channels) {
    return winograd_step((size_t)shape_blocks(channels) * most_tiles(c) * CHANNEL_BLOCK);
}

/* Partial sums that wait: one for each level of the tree, but for slot 0, the gradient itself. */
static size_t most_slots(const struct convolution *c) {
    size_t slots = 1;
    for (int leaves = 1; leaves < c->leaves; leaves *= 2) {
        slots++;
    }
    return slots;
}

struct memory {
    float *input;    /* [frequencies: side_step][input blocks][most tiles][16] */
    float *gradient; /* [frequencies: side_step][output blocks][most tiles][16] */
    float *slots;    /* [most_slots][packed] */
    char *own; /* of thread 0: sums of an item, one tile at the edge, and where it may be alone
                  with a chain input, gradient and result of that */
    size_t own_size;
};

static size_t own_alone_floats(const struct convolution *c) {
    size_t sides = side_step(c, c->input.channels) + side_step(c, c->output.channels);
    return (size_t)c->winograd->frequencies * sides + c->packed;
}

static size_t place_memory(struct memory *memory, char *start, const struct convolution *c) {
    char *next = start;
    size_t frequencies = (size_t)c->winograd->frequencies * sizeof(float);
    memory->input = (float *)(void *)next;
    next += frequencies * side_step(c, c->input.channels);
    memory->gradient = (float *)(void *)next;
    next += frequencies * side_step(c, c->output.channels);
    memory->slots = (float *)(void *)next;
    next += convolution_align(most_slots(c) * c->packed * sizeof(float));
    memory->own = next;
    memory->own_size = item_floats(c) * sizeof(float) + frequencies * CHANNEL_BLOCK;
    memory->own_size +=
        may_be_alone(c) ? convolution_align(own_alone_floats(c) * sizeof(float)) : 0;
    next += (size_t)c->threads * memory->own_size;
    return (size_t)(next - start);
}

size_t winograd_weights_scratch(const struct convolution *convolution) {
    static char nowhere;
    struct memory memory;
    return place_memory(&memory, &nowhere, convolution);
}

/* A pass as one of the threads sees it that share the work on a chain. */
struct job {
    const struct convolution *c;
    const struct tensor *input, *gradient;
    struct chains chains;
    struct memory memory;
    ptrdiff_t block_step, input_step, gradient_step; /* in the memory */
    int thread, threads;
    struct cut cut;
    float *sums, *room; /* this thread's own */
};

/* Tile rows [row, row + rows) of pictures [picture, picture + pictures). */
struct chain {
    int picture, pictures, row, rows;
};

static int chain_tiles(const struct job *job, const struct chain *chain) {
    return chain->pictures * chain->rows * job->chains.columns;
}

/* This thread's share of the chain's tiles, all channel blocks of both sides. */
static void transform_chain(const struct job *job, const struct chain *chain) {
    const struct convolution *c = job->c;
    const struct winograd_kernels *kernels = c->winograd;
    int in_blocks = shape_blocks(c->input.channels), out_blocks = shape_blocks(c->output.channels);
    int count = chain_tiles(job, chain), in_picture = chain->rows * job->chains.columns;
    int size = kernels->output;
    int64_t total = (int64_t)count * (in_blocks + out_blocks);
    ptrdiff_t row_stride;
    const float *pixels;
    for (int64_t i = total * job->thread / job->threads;
         i < total * (job->thread + 1) / job->threads; i++) {
        int block = (int)(i / count), tile = (int)(i % count);
        int picture = chain->picture + tile / in_picture, place = tile % in_picture;
        int row = (chain->row + place / job->chains.columns) * size;
        int column = place % job->chains.columns * size;
        ptrdiff_t to = (ptrdiff_t)tile * CHANNEL_BLOCK;
        if (block < in_blocks) {
            winograd_pixels(&pixels, &row_stride, job->input, picture, block, row - c->height.pad,
                column - c->width.pad, kernels->input, job->room);
            kernels->pixels(job->memory.input + block * job->block_step + to, job->input_step,
                pixels, row_stride);
        } else {
            block -= in_blocks;
            winograd_pixels(
                &pixels, &row_stride, job->gradient, picture, block, row, column, size, job->room);
            kernels->gradient(job->memory.gradient + block * job->block_step + to,
                job->gradient_step, pixels, row_stride);
        }
    }
}

/* The sums over a chain's tiles for one output tile and one input block: [frequencies][16][width].
 */
static void multiply(float *sums, const struct job *job, const struct channel_tile *channels,
    int block, int count, int frequency) {
    const struct convolution *c = job->c;
    const struct product_kernels *kernels = &c->kernels->product;
    const struct product_block run = {.run = count};
    struct product_tile tile = {
        .b = job->memory.gradient + frequency * job->gradient_step +
             channels->block * job->block_step,
        .blocks = &run,
        .count = 1,
        .a_stride = CHANNEL_BLOCK,
        .b_step = CHANNEL_BLOCK,
        .b_vector = job->block_step,
        .out_row = channel_tile_width(channels),
        .out_vector = CHANNEL_BLOCK,
    };
    product_run *const *tiles = kernels->weights[channels->blocks - 1];
    int pieces = (CHANNEL_BLOCK + kernels->weights_rows - 1) / kernels->weights_rows;
    for (int i = 0; i < pieces; i++) {
        int first = i * CHANNEL_BLOCK / pieces, past = (i + 1) * CHANNEL_BLOCK / pieces;
        tile.a = job->memory.input + frequency * job->input_step + block * job->block_step + first;
        tile.out = sums + first * tile.out_row;
        tiles[past - first - 1](&tile);
    }
}

static float *slot_at(const struct job *job, int slot, float *gradient) {
    return slot == 0 ? gradient : job->memory.slots + (size_t)(slot - 1) * job->c->packed;
}

/* One item's sums over a chain, transformed back and written or added to a packed gradient. */
static void sum_item(
    float *gradient, bool add, const struct job *job, const struct item *item, int count) {
    const struct convolution *c = job->c;
    ptrdiff_t step = (ptrdiff_t)sums_step(), block_sums = c->winograd->frequencies * step;
    for (int f = 0; f < c->winograd->frequencies; f++) {
        float *sums = job->sums + f * step;
        for (int i = 0; i < item->tiles * item->count; i++) {
            const struct channel_tile *channels = &item->tile[i / item->count];
            int block = channels->other_block + item->first + i % item->count;
            multiply(sums + i * block_sums, job, channels, block, count, f);
        }
    }
    for (int i = 0; i < item->tiles * item->count; i++) {
        const struct channel_tile *channels = &item->tile[i / item->count];
        ptrdiff_t tap = (ptrdiff_t)CHANNEL_BLOCK * channel_tile_width(channels);
        const float *sums = job->sums + i * block_sums;
        float *to =
            gradient + channels->offset + (item->first + i % item->count) * c->winograd->taps * tap;
        for (ptrdiff_t at = 0; at < tap; at += CHANNEL_BLOCK) {
            c->winograd->weights_gradient(to + at, tap, add, sums + at, step);
        }
    }
}

/* The items of this thread. */
static int first_item(const struct job *job, int thread) {
    return (int)((int64_t)item_count(job->c, job->cut) * thread / job->threads);
}

/* Multiplies and folds this thread's items of a transformed chain. */
static void sum_items(float *gradient, bool add, const struct job *job, const struct chain *chain) {
    for (int i = first_item(job, job->thread); i < first_item(job, job->thread + 1); i++) {
        struct item item = item_at(job->c, job->cut, i);
        sum_item(gradient, add, job, &item, chain_tiles(job, chain));
    }
}

/* Chain number `number` of the leaf of pictures [picture, past). */
static struct chain chain_at(const struct chains *chains, int picture, int past, int number) {
    int piece = number % chains->pieces, row = piece * chains->rows / chains->pieces;
    picture += number / chains->pieces * chains->pictures;
    return (struct chain){.picture = picture,
        .pictures = past - picture < chains->pictures ? past - picture : chains->pictures,
        .row = row,
        .rows = (piece + 1) * chains->rows / chains->pieces - row};
}

enum fold { FOLD_ADD, FOLD_COPY, FOLD_CLEAR };

/* Folds this thread's part of two packed gradients. */
static void fold(float *into, const float *from, enum fold what, const struct job *job) {
    const struct convolution *c = job->c;
    for (int i = first_item(job, job->thread); i < first_item(job, job->thread + 1); i++) {
        struct item item = item_at(c, job->cut, i);
        for (int t = 0; t < item.tiles; t++) {
            size_t block =
                (size_t)(c->winograd->taps * CHANNEL_BLOCK * channel_tile_width(&item.tile[t]));
            size_t place = item.tile[t].offset + (size_t)item.first * block;
            size_t size = (size_t)item.count * block;
            switch (what) {
            case FOLD_ADD: c->kernels->elementwise.add(into + place, from + place, size); break;
            case FOLD_COPY: memcpy(into + place, from + place, size * sizeof(float)); break;
            case FOLD_CLEAR: memset(into + place, 0, size * sizeof(float)); break;
            }
        }
    }
}

/* What a thread has of its own, in the job of one thread. */
static struct job job_alone(const struct job *job, int thread) {
    struct job alone = *job;
    const struct convolution *c = job->c;
    char *own = job->memory.own + (size_t)thread * job->memory.own_size;
    alone.sums = (float *)(void *)own;
    alone.room = alone.sums + item_floats(c);
    alone.memory.input = alone.room + c->winograd->frequencies * CHANNEL_BLOCK;
    alone.memory.gradient = alone.memory.input + c->winograd->frequencies * job->input_step;
    alone.cut = largest_cut(c);
    alone.thread = 0;
    alone.threads = 1;
    return alone;
}

static float *result_of(const struct job *alone) {
    return alone->memory.gradient + alone->c->winograd->frequencies * alone->gradient_step;
}

/* Every thread sums a chain; then all add up what came out, in order, each its own items. */
static void sum_leaf_alone(float *gradient, const struct job *job, int picture, int past) {
    int count = chains_of_leaf(&job->chains, past - picture);
    struct job mine = job_alone(job, job->thread);
    for (int first = 0; first < count; first += job->threads) {
        if (first + job->thread < count) {
            struct chain chain = chain_at(&job->chains, picture, past, first + job->thread);
            transform_chain(&mine, &chain);
            sum_items(result_of(&mine), false, &mine, &chain);
        }
#pragma omp barrier
        for (int i = 0; i < job->threads && first + i < count; i++) {
            struct job other = job_alone(job, i);
            fold(gradient, result_of(&other), first + i > 0 ? FOLD_ADD : FOLD_COPY, job);
        }
#pragma omp barrier
    }
}

static void sum_leaf(float *gradient, const struct job *job, int picture, int past) {
    if (is_alone(job->c, past - picture)) {
        sum_leaf_alone(gradient, job, picture, past);
        return;
    }
    for (int i = 0; i < chains_of_leaf(&job->chains, past - picture); i++) {
        struct chain chain = chain_at(&job->chains, picture, past, i);
#pragma omp barrier
        transform_chain(job, &chain);
#pragma omp barrier
        sum_items(gradient, i > 0, job, &chain);
    }
}

/* A node with an empty child is its other child. */
static void sum_subtree(
    float *gradient, struct subtree subtree, const int *leaf_start, const struct job *job) {
    struct tree_counter counter = {0};
    bool empty[TREE_SUBTREES_LIMIT];
    for (int leaf = 0; leaf < subtree.leaves; leaf++) {
        const int *start = leaf_start + subtree.first + leaf;
        int into, from, slot = tree_counter_push(&counter, (struct subtree){leaf, 1});
        empty[slot] = start[0] == start[1];
        if (!empty[slot]) {
            sum_leaf(slot_at(job, slot, gradient), job, start[0], start[1]);
        }
        while (tree_counter_merge(&counter, &into, &from)) {
            if (!empty[from]) {
                fold(slot_at(job, into, gradient), slot_at(job, from, gradient),
                    empty[into] ? FOLD_COPY : FOLD_ADD, job);
                empty[into] = false;
            }
        }
    }
    if (empty[0]) {
        fold(gradient, NULL, FOLD_CLEAR, job);
    }
}

void winograd_backward_weights(float *const *gradient, const struct tensor *input,
    const struct tensor *output_gradient, const struct pass *pass,
    const struct convolution *convolution, void *scratch) {
    const struct convolution *c = convolution;
#pragma omp parallel num_threads(c->threads)
    {
        cpu_flush_denormals();
        struct job job = {
            .c = c,
            .input = input,
            .gradient = output_gradient,
            .chains = chains_of(c),
            .block_step = (ptrdiff_t)most_tiles(c) * CHANNEL_BLOCK,
            .input_step = (ptrdiff_t)side_step(c, c->input.channels),
            .gradient_step = (ptrdiff_t)side_step(c, c->output.channels),
            .thread = omp_get_thread_num(),
            .threads = omp_get_num_threads(),
            .cut = cut_for(c, c->threads),
        };
        place_memory(&job.memory, scratch, c);
        job.sums = (float *)(void *)(job.memory.own + (size_t)job.thread * job.memory.own_size);
        job.room = job.sums + item_floats(c);
        for (int s = 0; s < pass->subtrees; s++) {
            sum_subtree(gradient[s], pass->subtree[s], pass->leaf_start, &job);
        }
    }
}
