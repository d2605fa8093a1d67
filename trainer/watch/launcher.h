/* The process that started this rank: mpirun, or its daemon on this host. When a host is cut off it
 * may wait for that host's answer for minutes after the job has ended (TCP holds what was not
 * acknowledged, and the keepalive looks no more), so that the job's end is no end for who waits.
 */
#ifndef TRAINER_WATCH_LAUNCHER_H
#define TRAINER_WATCH_LAUNCHER_H

/* Leaves a process behind that kills the launcher where it still runs after `seconds`. For the last
 * moment of a job that was given up. Does nothing where the launcher is not Open MPI's: a batch
 * system looks after its own. */
void launcher_end_after(int seconds);

#endif
