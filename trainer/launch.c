#include "trainer/launch.h"

#include "base/number.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Where the launchers of Open MPI, PMIx, MPICH and Slurm say which rank a process is. */
static const char *const rank_variables[] = {
    "OMPI_COMM_WORLD_RANK", "PMIX_RANK", "PMI_RANK", "SLURM_PROCID"};

static const char *launched_rank(void) {
    for (size_t i = 0; i < sizeof rank_variables / sizeof rank_variables[0]; i++) {
        const char *text = getenv(rank_variables[i]);
        if (text != NULL) {
            return text;
        }
    }
    return NULL;
}

bool launch_by_mpirun(void) {
    return launched_rank() != NULL;
}

/* Those of Open MPI, MPICH and a step of Slurm. Slurm gives the number of tasks of an allocation to
 * its batch script too, which is one process: that number counts inside a step alone. */
int launch_processes(void) {
    static const char *const variables[] = {
        "OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"};
    for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++) {
        const char *text = getenv(variables[i]);
        int64_t count;
        if (text != NULL && number_parse_integer(&count, text) && count > 0 && count < INT32_MAX) {
            return (int)count;
        }
    }
    return 1;
}

static bool is_told_of_pmi(void) {
    return getenv("PMIX_RANK") != NULL || getenv("PMI_RANK") != NULL || getenv("PMI_FD") != NULL ||
           getenv("OMPI_COMM_WORLD_RANK") != NULL;
}

status launch_check(int ranks) {
    const int processes = launch_processes();
    if (processes == 1 || (ranks == 0 ? is_told_of_pmi() : ranks > 1)) {
        return STATUS_OK;
    }
    const bool slurm = getenv("SLURM_STEP_NUM_TASKS") != NULL;
    FAIL(STATUS_USAGE,
        "%d processes were started, but MPI does not join them: each would train alone. %s",
        processes,
        slurm
            ? "Start them with `srun --mpi=pmix` (`srun --mpi=list` tells what it knows), or with "
              "mpirun inside the allocation"
            : "Start them with the mpirun of the MPI that convoy was built with (`convoy doctor` "
              "names it)");
}

bool launch_speaks(void) {
    const char *text = launched_rank();
    return text == NULL || strcmp(text, "0") == 0;
}

void launch_settle(int argc, char *const *argv) {
    bool crowded = false;
    for (int i = 1; i < argc; i++) {
        crowded = crowded || strcmp(argv[i], "--oversubscribe") == 0;
    }
    if (crowded && getenv("OMP_WAIT_POLICY") == NULL &&
        setenv("OMP_WAIT_POLICY", "passive", 1) == 0) {
        execv("/proc/self/exe", argv); /* where that is refused we go on as we are */
    }
}

static void report(status result, bool speaks) {
    static bool reported;
    fflush(stdout);
    if (result == STATUS_OK || reported || !speaks) {
        return;
    }
    reported = true;
    fprintf(stderr, "convoy: %s\n", status_message());
    if (getenv("CONVOY_TRACE") != NULL) {
        fprintf(stderr, "%s\n%s\n", status_name(result), status_trace_text());
    }
}

void launch_report(status result) {
    report(result, launch_speaks());
}

void launch_report_alone(status result) {
    report(result, true);
}
