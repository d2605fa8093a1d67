#include "trainer/run.h"

#include "base/cpu.h"
#include "worker/exchange/agreement.h"

#include <stdlib.h>

enum { FIRST, LAST, USED, UNUSED, NUMBERS };

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

/* mpirun binds each of two ranks to one core unless it is told otherwise, and the rest of a large
 * host does nothing. Said once, of the first host. */
static bool warn_of_unused(struct log *log, int rank, const double *cores, bool automatic) {
    if (!automatic || cores[UNUSED] <= 0) {
        return false;
    }
    log_warning(log,
        "mpirun bound the ranks on the host of rank %d to %.0f of its %.0f cores, and the others "
        "do nothing: --map-by socket:PE=CORES gives each rank more, --bind-to none all",
        rank, cores[USED], cores[USED] + cores[UNUSED]);
    return true;
}

status run_log_cores(struct run *run) {
    const int first = run->first_core;
    const double mine[NUMBERS] = {first < 0 ? -1 : cpu_core(first),
        first < 0 ? -1 : cpu_core(first + run->threads - 1), run->job.host_cores,
        run->job.unused_cores};
    const bool automatic = run->options->threads == 0 && run->recipe->train.threads == 0;
    bool warned = false;
    double *all;
    TRY(MEMORY_ALLOCATE(&all, (size_t)run->job.ranks * NUMBERS));
    status result = agreement_gather(run->job.transport, all, mine, NUMBERS);
    for (int r = 0; r < run->job.ranks && run->log != NULL && result == STATUS_OK; r++) {
        log_rank(run->log, r, all + (size_t)r * NUMBERS);
        warned = warned || warn_of_unused(run->log, r, all + (size_t)r * NUMBERS, automatic);
    }
    free(all);
    return result;
}
