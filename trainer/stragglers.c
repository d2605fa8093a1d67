#include "trainer/stragglers.h"

#include "base/memory.h"

#include <stddef.h>
#include <stdlib.h>

const char *straggler_cause_name(enum straggler_cause cause) {
    static const char *const names[] = {[STRAGGLER_INPUT] = "input",
        [STRAGGLER_COMPUTE] = "compute",
        [STRAGGLER_WAITING] = "waiting"};
    return names[cause];
}

static double busy(const struct rank_times *times) {
    return times->input + times->compute;
}

static int by_value(const void *a, const void *b) {
    const double *left = a, *right = b;
    return *left < *right ? -1 : *left > *right;
}

/* Over the field at `offset` of all ranks but `left_out`. */
static double median(
    double *scratch, const struct rank_times *times, size_t offset, int ranks, int left_out) {
    int count = 0;
    for (int r = 0; r < ranks; r++) {
        if (r != left_out) {
            scratch[count++] = *(const double *)((const char *)&times[r] + offset);
        }
    }
    if (count == 0) {
        return 0;
    }
    qsort(scratch, (size_t)count, sizeof *scratch, by_value);
    return (scratch[(count - 1) / 2] + scratch[count / 2]) / 2;
}

static enum straggler_cause largest(const struct rank_times *times) {
    if (times->waiting > times->input && times->waiting > times->compute) {
        return STRAGGLER_WAITING;
    }
    return times->input > times->compute ? STRAGGLER_INPUT : STRAGGLER_COMPUTE;
}

status straggler_find(struct straggler *straggler, const struct rank_times *times, int ranks) {
    double *scratch;
    TRY(MEMORY_ALLOCATE(&scratch, (size_t)ranks));
    int slowest = 0;
    for (int r = 1; r < ranks; r++) {
        slowest = busy(&times[r]) > busy(&times[slowest]) ? r : slowest;
    }
    *straggler = (struct straggler){.rank = slowest, .slowest = times[slowest]};
    struct rank_times *others = &straggler->others;
    others->input = median(scratch, times, offsetof(struct rank_times, input), ranks, slowest);
    others->compute = median(scratch, times, offsetof(struct rank_times, compute), ranks, slowest);
    others->waiting = median(scratch, times, offsetof(struct rank_times, waiting), ranks, slowest);
    free(scratch);
    const double late = busy(&straggler->slowest) - busy(others);
    const double all = busy(&straggler->slowest) + straggler->slowest.waiting;
    straggler->stands_out = ranks > 1 && late > STRAGGLER_MARGIN * all;
    if (!straggler->stands_out) {
        straggler->cause = largest(&straggler->slowest);
    } else if (straggler->slowest.input - others->input >
               straggler->slowest.compute - others->compute) {
        straggler->cause = STRAGGLER_INPUT;
    } else {
        straggler->cause = STRAGGLER_COMPUTE;
    }
    return STATUS_OK;
}
