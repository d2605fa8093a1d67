/* The memory plan: places blocks of memory, each of which lives for a span of time, in one arena.
 *
 * Greedy by size (Pisarchyk and Lee, "Efficient memory management for deep neural net inference",
 * 2020): the largest block first, each into the smallest gap between those placed before it that
 * live at the same time, else after them.
 */
#ifndef WORKER_PLANNER_H
#define WORKER_PLANNER_H

#include "base/status.h"

#include <stddef.h>

struct planner_block {
    size_t bytes;  /* a multiple of 64 */
    int from, to;  /* times, both included */
    size_t offset; /* the result */
};

/* Sets every offset, and *total to the bytes of the arena. Blocks without bytes get offset 0. */
status planner_place(size_t *total, struct planner_block *blocks, int count);

#endif
