#include "trainer/run.h"

#include "base/cpu.h"
#include "worker/exchange/agreement.h"

#include <stdlib.h>

enum { FIRST, LAST, NUMBERS };

static void log_rank(struct log *log, int rank, const double *cores) {
    if (cores[FIRST] < 0) {
        log_line(log, "rank %d: threads are not pinned", rank);
    } else if (cores[FIRST] == cores[LAST]) {
        log_line(log, "rank %d: pinned to core %.0f", rank, cores[FIRST]);
    } else {
        log_line(
            log, "rank %d: threads pinned to cores %.0f to %.0f", rank, cores[FIRST], cores[LAST]);
    }
}

status run_log_cores(struct run *run) {
    const int first = run->first_core;
    const double mine[NUMBERS] = {
        first < 0 ? -1 : cpu_core(first), first < 0 ? -1 : cpu_core(first + run->threads - 1)};
    double *all;
    TRY(MEMORY_ALLOCATE(&all, (size_t)run->job.ranks * NUMBERS));
    status result = agreement_gather(run->job.transport, all, mine, NUMBERS);
    for (int r = 0; r < run->job.ranks && run->log != NULL && result == STATUS_OK; r++) {
        log_rank(run->log, r, all + (size_t)r * NUMBERS);
    }
    free(all);
    return result;
}
