#include "worker/kernels/convolution_sweep.h"

#define SEGMENT_STEPS 512

int sweep_runs(struct product_block *runs, const struct sweep_taps *taps) {
    int count = 0;
    for (int b = 0; b < taps->blocks; b++) {
        int left = channel_block_left(taps->channels, taps->block + b);
        bool whole = left == taps->lanes && taps->column_step == left;
        int columns = whole ? 1 : taps->columns;
        for (int row = 0; row < taps->rows; row++) {
            for (int column = 0; column < columns && taps->columns > 0; column++) {
                if (runs != NULL) {
                    ptrdiff_t tap = ((ptrdiff_t)b * taps->rows + row) * taps->columns + column;
                    runs[count] = (struct product_block){
                        .a = (taps->block + b) * taps->block_stride + row * taps->row_step +
                             column * taps->column_step,
                        .b = tap * taps->lanes * taps->width,
                        .run = whole ? taps->columns * left : left,
                    };
                }
                count++;
            }
        }
    }
    return count;
}

void sweep_segments_init(
    struct sweep_segments *segments, const struct product_block *runs, int count) {
    *segments = (struct sweep_segments){.runs = runs, .count = count};
    for (int r = 0; r < count; r++) {
        segments->steps += runs[r].run;
    }
}

bool sweep_segment_next(int *first, int *count, struct sweep_segments *segments) {
    int64_t number = segments->steps / SEGMENT_STEPS > 1 ? segments->steps / SEGMENT_STEPS : 1;
    *first = segments->next;
    *count = 0;
    if (segments->count == 0) {
        return segments->number++ == 0;
    }
    while (segments->number < number && *count == 0) {
        int64_t mark = ++segments->number * segments->steps / number;
        while (segments->next < segments->count && segments->done < mark) {
            segments->done += segments->runs[segments->next++].run;
        }
        *count = segments->next - *first;
    }
    return *count > 0;
}

int sweep_repeats(struct product_block *runs, int count, int width) {
    int last = 0;
    for (int r = 1; r < count; r++) {
        struct product_block *first = &runs[last];
        ptrdiff_t step = runs[r].a - runs[r - 1].a;
        bool follows = runs[r].b == runs[r - 1].b + (ptrdiff_t)runs[r - 1].run * width;
        if (follows && runs[r].run == first->run &&
            (first->repeats == 0 || step == first->a_repeat)) {
            first->repeats++;
            first->a_repeat = step;
        } else {
            runs[++last] = runs[r];
        }
    }
    return count > 0 ? last + 1 : 0;
}

static int tiles_of(int count, int most_rows) {
    return (count + most_rows - 1) / most_rows;
}

/* Time of `count` rows in tiles, by row, in units of one row of a full tile: a tile of few rows
 * waits for its own sums (bench/RESULTS.md, tiles). */
static double cost(int count, int most_rows) {
    int tiles = tiles_of(count, most_rows), rows = (count + tiles - 1) / tiles;
    return ((rows > 4 ? rows : 4) + 0.5) * tiles / count;
}

void sweep_init(struct sweep *sweep, struct sweep_dimension pictures, struct sweep_dimension rows,
    struct sweep_dimension columns, int most_rows) {
    if (rows.a == columns.count * columns.a && rows.out == columns.count * columns.out) {
        columns.count *= rows.count;
        rows.count = 1;
    }
    if (columns.count == 1) {
        struct sweep_dimension swap = rows;
        rows = columns;
        columns = swap;
    }
    *sweep = (struct sweep){.outer = pictures, .middle = rows, .inner = columns, .in_order = true};
    if (pictures.count > 0 &&
        1.1 * cost(pictures.count, most_rows) < cost(columns.count, most_rows)) {
        sweep->outer = columns;
        sweep->inner = pictures;
        sweep->in_order = false;
    }
    sweep->tiles = tiles_of(sweep->inner.count, most_rows);
}

void sweep_share(struct sweep_share *share, int pictures, size_t floats, size_t weights, int thread,
    int threads) {
    int parts = 1;
    double least = 0.0;
    for (int p = 1; p <= threads && p <= pictures; p++) {
        double read = (double)floats * pictures / p + (double)weights * p / threads;
        if (threads % p == 0 && pictures % p == 0 && (p == 1 || read < least)) {
            parts = p;
            least = read;
        }
    }
    int each = threads / parts;
    *share = (struct sweep_share){.picture = thread / each * (pictures / parts),
        .pictures = pictures / parts,
        .thread = thread % each,
        .threads = each};
}

/* The thread begins with pixel `pixel` of the sweep's picture `picture`. */
static void begin(struct sweep_epilogue *e, int picture, int pixel) {
    int rows = epilogue_rows(e->shape), row = pixel / e->shape.width / rows * rows;
    e->next = epilogue_run_at(e->shape, e->picture + picture, e->block, row);
    e->begun = pixel != row * e->shape.width;
}

static void call_run(const struct sweep_epilogue *e, struct epilogue_run run, int blocks) {
    for (int b = 0; b < blocks; b++, run.block++) {
        e->epilogue->run(e->epilogue, &run);
    }
}

/* All pixels of the picture up to `pixel` are final. */
static void advance(struct sweep_epilogue *e, int pixel) {
    while ((e->next.row + e->next.rows) * e->shape.width <= pixel) {
        if (e->begun) {
            e->late = e->next;
            e->late_blocks = e->blocks;
            e->begun = false;
        } else {
            call_run(e, e->next, e->blocks);
        }
        int row = e->next.row + e->next.rows;
        if (row == e->shape.height) {
            e->next = epilogue_run_at(e->shape, e->next.picture + 1, e->block, 0);
            return;
        }
        e->next = epilogue_run_at(e->shape, e->next.picture, e->block, row);
    }
}

void sweep_epilogue_finish(
    const struct sweep_epilogue *epilogue, int pictures, int thread, int threads) {
    if (epilogue->epilogue == NULL) {
        return;
    }
#pragma omp barrier
    if (epilogue->in_order) {
        call_run(epilogue, epilogue->late, epilogue->late_blocks);
    } else {
        epilogue_share(epilogue->epilogue, epilogue->shape, pictures, thread, threads);
    }
}

/* A register tile: number `inner` of a line. */
struct place {
    int outer, middle, inner;
};

static int first_pixel(const struct sweep *sweep, int inner) {
    return (int)((int64_t)inner * sweep->inner.count / sweep->tiles);
}

static struct place place_after(struct place place, const struct sweep *sweep) {
    if (++place.inner == sweep->tiles) {
        place.inner = 0;
        if (++place.middle == sweep->middle.count) {
            place.middle = 0;
            place.outer++;
        }
    }
    return place;
}

static ptrdiff_t a_offset(const struct sweep *sweep, struct place place) {
    return place.outer * sweep->outer.a + place.middle * sweep->middle.a +
           first_pixel(sweep, place.inner) * sweep->inner.a;
}

static ptrdiff_t out_offset(const struct sweep *sweep, struct place place) {
    return place.outer * sweep->outer.out + place.middle * sweep->middle.out +
           first_pixel(sweep, place.inner) * sweep->inner.out;
}

/* Lines of the next tile, to be asked for while this one is computed: what it writes and what its
 * epilogue reads (a burst of them, before the tile that they are for, had a 1x1 of 64 channels wait
 * for half its time). Memory is taken for lines without a border: a few too many are asked for. */
struct look_ahead {
    struct product_ahead ahead[1 + EPILOGUE_READS];
    int count, most;
};

/* At most as many as the tile has runs; short ones ask for nothing. */
static void look_init(struct look_ahead *look, const struct product_tile *tile) {
    const int limit = 1 + EPILOGUE_READS;
    *look = (struct look_ahead){.count = 0};
    for (int b = 0; b < tile->count && look->most < limit; b++) {
        look->most += tile->blocks[b].run < CHANNEL_BLOCK ? 0 : tile->blocks[b].repeats + 1;
    }
    look->most = look->most < limit ? look->most : limit;
}

static void look_at(struct look_ahead *look, struct product_ahead lines, int rows) {
    if (look->count < look->most) {
        look->ahead[look->count++] = lines;
        return;
    }
    /* More than the tile has runs. */
    for (const float *line = lines.line; rows > 0; rows--, line += lines.step) {
        __builtin_prefetch(line, 0, 2);
        __builtin_prefetch(line + lines.other, 0, 2);
    }
}

static void look_ahead(struct look_ahead *look, const struct sweep *sweep, struct place place,
    const struct product_tile *tile, const float *out, int vectors,
    const struct sweep_epilogue *epilogue) {
    int first = first_pixel(sweep, place.inner);
    int rows = first_pixel(sweep, place.inner + 1) - first;
    int pixel = place.middle * sweep->inner.count + first;
    look->count = 0;
    look_at(look,
        (struct product_ahead){
            out + out_offset(sweep, place), (vectors - 1) * tile->out_vector, tile->out_row},
        rows);
    for (int i = 0; epilogue != NULL && i < epilogue->epilogue->reads; i++) {
        const struct tensor *tensor = epilogue->epilogue->read[i];
        int width = tensor->shape.width;
        const float *line = tensor_at(
            tensor, epilogue->picture + place.outer, epilogue->block, pixel / width, pixel % width);
        look_at(look,
            (struct product_ahead){line, (vectors - 1) * tensor->block_stride, CHANNEL_BLOCK},
            rows);
    }
}

void sweep_run(const struct sweep *sweep, struct product_tile tile, int vectors, int64_t from,
    int64_t to, const struct product_kernels *kernels, struct sweep_epilogue *epilogue) {
    int64_t line = from / sweep->tiles;
    struct place next, place = {.outer = (int)(line / sweep->middle.count),
                           .middle = (int)(line % sweep->middle.count),
                           .inner = (int)(from % sweep->tiles)};
    const float *a = tile.a;
    float *out = tile.out;
    struct look_ahead look;
    look_init(&look, &tile);
    product_run *const *run = kernels->pixels[vectors - 1];
    tile.a_stride = sweep->inner.a;
    tile.out_row = sweep->inner.out;
    tile.ahead = look.ahead;
    if (epilogue != NULL && (epilogue->epilogue == NULL || !epilogue->in_order)) {
        epilogue = NULL;
    }
    if (epilogue != NULL) {
        begin(epilogue, place.outer,
            place.middle * sweep->inner.count + first_pixel(sweep, place.inner));
    }
    for (int64_t number = from; number < to; number++, place = next) {
        int first = first_pixel(sweep, place.inner), past = first_pixel(sweep, place.inner + 1);
        tile.a = a + a_offset(sweep, place);
        tile.out = out + out_offset(sweep, place);
        next = place_after(place, sweep);
        tile.a_next = number + 1 < to ? a_offset(sweep, next) - a_offset(sweep, place) : 0;
        look.count = 0;
        if (number + 1 < to) {
            look_ahead(&look, sweep, next, &tile, out, vectors, epilogue);
        }
        tile.aheads = look.count;
        run[past - first - 1](&tile);
        if (epilogue != NULL) {
            advance(epilogue, place.middle * sweep->inner.count + past);
        }
    }
}
