/* How this process was started, as the launcher says it in the environment: known before MPI starts
 * and after it ended.
 */
#ifndef TRAINER_LAUNCH_H
#define TRAINER_LAUNCH_H

#include "base/status.h"

#include <stdbool.h>

/* Whether mpirun, srun or another launcher started it as one of several ranks. */
bool launch_by_mpirun(void);

/* How many processes the launcher says that it started; 1 where it says nothing. An MPI that counts
 * fewer ranks was not reached by it: every process would train alone. */
int launch_processes(void);

/* Fails with STATUS_USAGE, and the cure, where the launcher started several processes and gives MPI
 * no way to find them (srun without PMI), or where MPI has found fewer (`ranks`; 0: not asked yet).
 */
status launch_check(int ranks);

/* Whether this process is the one that speaks: rank 0, or a program without a launcher. */
bool launch_speaks(void);

/* Settles what libraries read from the environment before main: with --oversubscribe threads that
 * wait must sleep and not spin, or they keep those they wait for from running (measured: 97 s
 * instead of 5 for 4 ranks of 2 threads on 2 cores). Starts the program anew where that needs it.
 */
void launch_settle(int argc, char *const *argv);

/* Says the failure `result` in one line on stderr, and flushes what was printed; on the process
 * that speaks alone, and once. With CONVOY_TRACE set it also says where the failure came from. */
void launch_report(status result);
/* The same on any process: one that is alone with its failure. */
void launch_report_alone(status result);

#endif
