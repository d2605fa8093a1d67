#include "trainer/job.h"

#include "base/cpu.h"
#include "base/memory.h"
#include "trainer/launch.h"
#include "worker/exchange/agreement.h"

#include <mpi.h>
#include <sched.h>
#include <stdlib.h>
#include <unistd.h>

/* Counts ranks and cores of this host: the union of what its ranks are bound to. */
static void measure_host(struct job *job) {
    MPI_Comm host;
    MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, job->rank, MPI_INFO_NULL, &host);
    MPI_Comm_size(host, &job->host_ranks);
    cpu_set_t mine, all;
    CPU_ZERO(&mine);
    CPU_ZERO(&all);
    sched_getaffinity(0, sizeof mine, &mine);
    MPI_Allreduce(&mine, &all, (int)sizeof mine, MPI_BYTE, MPI_BOR, host);
    job->host_cores = CPU_COUNT(&all) > 0 ? CPU_COUNT(&all) : 1;
    job->cores = cpu_count();
    int sum;
    MPI_Allreduce(&job->cores, &sum, 1, MPI_INT, MPI_SUM, host);
    job->own_cores = sum == job->host_cores;
    /* What the launcher itself may use is what it could have bound its ranks to. */
    cpu_set_t launcher;
    const bool known =
        launch_by_mpirun() && sched_getaffinity(getppid(), sizeof launcher, &launcher) == 0;
    job->unused_cores = known ? CPU_COUNT(&launcher) - job->host_cores : 0;
    MPI_Comm_rank(host, &job->host_rank);
    MPI_Comm_free(&host);
}

status job_init(struct job *job) {
    *job = (struct job){0};
    if (!launch_by_mpirun()) {
        /* Without mpirun there is no one to talk to: no daemon, no ports. */
        setenv("OMPI_MCA_ess_singleton_isolated", "1", 0);
        /* Nor a session folder: processes without mpirun would share one, and one that ends takes
         * it away from another that starts. */
        setenv("OMPI_MCA_orte_create_session_dirs", "0", 0);
    }
    /* Over TCP Open MPI asks the other side before it sends 64 KiB; twice that goes at once here,
     * so that the largest columns that are not halved do (worker/exchange/algorithm.c). */
    setenv("OMPI_MCA_btl_tcp_eager_limit", "131072", 0);
    TRY(launch_check(0));
    int provided;
    if (MPI_Init_thread(NULL, NULL, MPI_THREAD_SERIALIZED, &provided) != MPI_SUCCESS) {
        FAIL(STATUS_SYSTEM, "MPI does not start");
    }
    TRY(transport_mpi_create(&job->transport));
    TRY(MEMORY_ALLOCATE(&job->activity, 1));
    activity_init(job->activity);
    job->transport->activity = job->activity;
    job->rank = job->transport->rank;
    job->ranks = job->transport->ranks;
    TRY(launch_check(job->ranks));
    measure_host(job);
    return job_agree(job, watch_start(&job->watch, job->transport));
}

void job_release(struct job *job, status result) {
    if (job->transport != NULL && job->transport->failed) {
        launch_report_alone(result);
        job->transport->abort(job->transport, 1);
    }
    launch_report(result);
    activity_enter(job->activity, ACTIVITY_COLLECTIVE, -1); /* all leave together */
    if (job->transport != NULL) {
        job->transport->destroy(job->transport);
    }
    int started, ended;
    MPI_Initialized(&started);
    MPI_Finalized(&ended);
    if (started && !ended) {
        MPI_Finalize();
    }
    watch_stop(job->watch);
    if (job->activity != NULL) {
        activity_release(job->activity);
        free(job->activity);
    }
    *job = (struct job){0};
}

status job_plan_threads(int *threads, const struct job *job, int64_t wanted, bool oversubscribe) {
    int share = job->host_cores / job->host_ranks;
    share = share < job->cores ? share : job->cores;
    *threads = wanted > 0 ? (int)wanted : share > 1 ? share : 1;
    int64_t all = (int64_t)*threads * job->host_ranks;
    if (*threads > job->cores && all <= job->host_cores + job->unused_cores && !oversubscribe) {
        FAIL(STATUS_USAGE,
            "%d threads on the %d core%s that mpirun bound rank %d to, on %s: let it bind each "
            "rank to as many (--map-by slot:PE=%d), or to all (--bind-to none), or allow it with "
            "--oversubscribe",
            *threads, job->cores, job->cores == 1 ? "" : "s", job->rank, job->transport->host,
            *threads);
    }
    if (all > job->host_cores && !oversubscribe) {
        FAIL(STATUS_USAGE,
            "%d ranks with %d threads each are more than the %d cores they may use on %s: start "
            "fewer, let mpirun bind them to more (--bind-to none), or allow it with "
            "--oversubscribe",
            job->host_ranks, *threads, job->host_cores, job->transport->host);
    }
    return STATUS_OK;
}

int job_first_core(const struct job *job, int threads) {
    if (threads * job->host_ranks != job->host_cores || threads > job->cores) {
        return -1;
    }
    if (job->own_cores) {
        return 0;
    }
    return job->cores == job->host_cores ? job->host_rank * threads : -1;
}

void job_broadcast(const struct job *job, void *bytes, size_t size) {
    const size_t most = (size_t)1 << 30; /* MPI counts in int */
    if (job->ranks == 1) {
        return;
    }
    const struct activity_now before = activity_enter(job->activity, ACTIVITY_COLLECTIVE, -1);
    for (size_t done = 0; done < size;) {
        size_t part = size - done < most ? size - done : most;
        MPI_Bcast((char *)bytes + done, (int)part, MPI_BYTE, 0, MPI_COMM_WORLD);
        done += part;
    }
    activity_leave(job->activity, before);
}

void job_gather(const struct job *job, void *all, const void *mine, size_t size) {
    const struct activity_now before = activity_enter(job->activity, ACTIVITY_COLLECTIVE, -1);
    MPI_Gather(mine, (int)size, MPI_BYTE, all, (int)size, MPI_BYTE, 0, MPI_COMM_WORLD);
    activity_leave(job->activity, before);
}

void job_sum(const struct job *job, int64_t *values, size_t count) {
    const struct activity_now before = activity_enter(job->activity, ACTIVITY_COLLECTIVE, -1);
    MPI_Allreduce(MPI_IN_PLACE, values, (int)count, MPI_INT64_T, MPI_SUM, MPI_COMM_WORLD);
    activity_leave(job->activity, before);
}

status job_agree(const struct job *job, status mine) {
    return agreement_status(job->transport, mine);
}
