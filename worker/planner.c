#include "worker/planner.h"

#include "base/memory.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

static int compare_sizes(const void *a, const void *b) {
    const struct planner_block *left = *(struct planner_block *const *)a;
    const struct planner_block *right = *(struct planner_block *const *)b;
    if (left->bytes != right->bytes) {
        return left->bytes > right->bytes ? -1 : 1;
    }
    if (left->from != right->from) {
        return left->from - right->from;
    }
    return left < right ? -1 : 1; /* of one array: its order */
}

static bool together(const struct planner_block *a, const struct planner_block *b) {
    return a->from <= b->to && b->from <= a->to;
}

/* The smallest gap that holds `block` among those of placed[count], sorted by offset, that live
 * when it does. */
static size_t best_offset(
    struct planner_block *const *placed, int count, const struct planner_block *block) {
    size_t end = 0, best = SIZE_MAX, best_gap = SIZE_MAX;
    for (int i = 0; i < count; i++) {
        if (!together(placed[i], block)) {
            continue;
        }
        if (placed[i]->offset > end) {
            size_t gap = placed[i]->offset - end;
            if (gap >= block->bytes && gap < best_gap) {
                best = end;
                best_gap = gap;
            }
        }
        size_t after = placed[i]->offset + placed[i]->bytes;
        end = after > end ? after : end;
    }
    return best == SIZE_MAX ? end : best;
}

status planner_place(size_t *total, struct planner_block *blocks, int count) {
    *total = 0;
    struct planner_block **by_size = NULL, **by_offset = NULL;
    status result = STATUS_OK;
    TRY_TO(done, result, MEMORY_ALLOCATE(&by_size, (size_t)count));
    TRY_TO(done, result, MEMORY_ALLOCATE(&by_offset, (size_t)count));
    int used = 0;
    for (int i = 0; i < count; i++) {
        blocks[i].offset = 0;
        if (blocks[i].bytes > 0) {
            by_size[used++] = &blocks[i];
        }
    }
    qsort(by_size, (size_t)used, sizeof *by_size, compare_sizes);
    for (int i = 0; i < used; i++) {
        struct planner_block *block = by_size[i];
        block->offset = best_offset(by_offset, i, block);
        if (block->offset > SIZE_MAX / 4 - block->bytes) {
            FAIL_TO(done, result, STATUS_SYSTEM, "the network needs more memory than there can be");
        }
        int place = i;
        for (; place > 0 && by_offset[place - 1]->offset > block->offset; place--) {
            by_offset[place] = by_offset[place - 1];
        }
        by_offset[place] = block;
        size_t end = block->offset + block->bytes;
        *total = end > *total ? end : *total;
    }
done:
    free(by_size);
    free(by_offset);
    return result;
}
