#include "trainer/launch.h"

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

void launch_report(status result) {
    static bool reported;
    fflush(stdout);
    if (result == STATUS_OK || reported || !launch_speaks()) {
        return;
    }
    reported = true;
    fprintf(stderr, "convoy: %s\n", status_message());
    if (getenv("CONVOY_TRACE") != NULL) {
        fprintf(stderr, "%s\n%s\n", status_name(result), status_trace_text());
    }
}
