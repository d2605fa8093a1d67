/* This process as one rank of a job: MPI, the transport, the cores of the host, who speaks.
 *
 * MPI is started by job_init alone, and only the commands that train, evaluate or measure call it,
 * and inspect, to see what it takes of memory. A program started without mpirun is a job of one
 * rank.
 */
#ifndef TRAINER_JOB_H
#define TRAINER_JOB_H

#include "trainer/watch/watch.h"
#include "worker/exchange/transport.h"

struct job {
    struct transport *transport;
    struct activity *activity; /* what this rank is doing; the transport's too */
    struct watch *watch;       /* NULL: there is one rank */
    int rank, ranks;
    int host_ranks;   /* ranks on this host */
    int host_cores;   /* cores that the ranks of this host may use together */
    int cores;        /* cores that this rank may use */
    int unused_cores; /* of this host, that mpirun may use and bound no rank to; 0: unknown */
    int host_rank;    /* place of this rank among those of this host */
    bool own_cores;   /* no other rank of this host may use them */
};

/* For all ranks. Starts MPI (for threads that call it in turn), makes the transport, and has the
 * job watched. */
status job_init(struct job *job);
/* For all ranks. Reports `result` and ends MPI, in this order: mpirun kills the job as soon as one
 * rank leaves with an error, and rank 0 must have spoken by then. A rank whose transport has failed
 * is alone: it speaks for itself and ends the job (MPI_Abort). */
void job_release(struct job *job, status result);

/* Threads of this rank: `wanted`, or with 0 a fair share of the host's cores. Fails with
 * STATUS_USAGE where the ranks of this host would have more threads than cores, or this rank more
 * than it is bound to, unless `oversubscribe`. For all ranks (every rank of a host must come;
 * failures may differ). */
status job_plan_threads(int *threads, const struct job *job, int64_t wanted, bool oversubscribe);

/* The core of this rank's cpuset from which on its threads are to be pinned, or -1 where they must
 * not be: threads are pinned only where the job's threads are as many as the cores it may use,
 * since two jobs that share a host would else be pinned to the same ones. */
int job_first_core(const struct job *job, int threads);

/* For all ranks: copies rank 0's bytes to all. */
void job_broadcast(const struct job *job, void *bytes, size_t size);

/* For all ranks: brings `size` bytes of each to rank 0, in the order of MPI's own ranks: all[ranks]
 * [size], written on rank 0 alone. */
void job_gather(const struct job *job, void *all, const void *mine, size_t size);

/* For all ranks: sums whole numbers over all of them. */
void job_sum(const struct job *job, int64_t *values, size_t count);

/* For all ranks: whether every rank is well; see agreement_status. */
status job_agree(const struct job *job, status mine);

#endif
