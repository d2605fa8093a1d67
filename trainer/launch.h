/* How this process was started, as the launcher says it in the environment: known before MPI starts
 * and after it ended.
 */
#ifndef TRAINER_LAUNCH_H
#define TRAINER_LAUNCH_H

#include <stdbool.h>

/* Whether mpirun, srun or another launcher started it as one of several ranks. */
bool launch_by_mpirun(void);

/* Whether this process is the one that speaks: rank 0, or a program without a launcher. */
bool launch_speaks(void);

#endif
