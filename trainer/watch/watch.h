/* The watch of a job of several ranks: a thread in each rank that tells the others that it lives
 * and what it is doing (heart.h, peers.h), so that nobody hangs in the dark.
 *
 *   - A rank that is stopped, dead or cut off is found by its silence, and the job ended.
 *   - A wait for another rank that takes long is told of, with who keeps whom waiting; one that
 *     takes far too long ends the job.
 *   - A job that was suspended as a whole goes on when it is woken: a rank that did not run itself
 *     accuses nobody.
 *
 * The thread never calls MPI but to end the job (MPI_Abort). Warnings and the last word go to
 * stderr and, on rank 0, into the log.
 */
#ifndef TRAINER_WATCH_WATCH_H
#define TRAINER_WATCH_WATCH_H

#include "io/log.h"
#include "worker/exchange/transport.h"

struct watch;

/* Seconds; 0: never. */
struct watch_limits {
    double
        heartbeat; /* within which a rank that is stopped or cut off is found and the job ended */
    double warn;   /* of a wait for other ranks, until it is told of */
    double stop;   /* of a wait for other ranks, until it ends the job */
};
#define WATCH_HEARTBEAT_SECONDS 10
#define WATCH_WARN_SECONDS      60
#define WATCH_STOP_SECONDS      600

/* For all ranks of MPI_COMM_WORLD. Starts watching with the limits above; transport->activity is
 * watched. *watch = NULL for a job of one rank. Fails with STATUS_SYSTEM for want of memory or
 * threads. */
status watch_start(struct watch **watch, const struct transport *transport);

/* Says farewell to the others and ends the thread. Takes NULL, as all of these do. */
void watch_stop(struct watch *watch);

/* All ranks must set the same. */
void watch_set_limits(struct watch *watch, const struct watch_limits *limits);

/* What a rank does last where the job ends for all: another rank was lost, or SIGTERM came, which
 * mpirun sends a second before it kills. Called once, by the watch's thread; the run may go on
 * after a SIGTERM. NULL: nothing; then none is under way any more. */
void watch_set_last(struct watch *watch, void (*act)(void *context), void *context);

/* Warnings go through `log` (rank 0's; NULL: to stderr alone). */
void watch_set_log(struct watch *watch, struct log *log);

#endif
