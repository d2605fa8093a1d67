#include "worker/exchange/transport.h"

#include "base/memory.h"

#include <mpi.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* A wait first only looks again (a message takes less than a yield brings back), then yields, then
 * sleeps: where ranks outnumber cores a yield alone can keep the core from the very rank that is
 * waited for. A yield is some 0.3 us, so the first sleep comes after about 0.3 ms of waiting, and
 * the first yield after half a millisecond between nodes: an MPI that was told to give cores away
 * does so in each look, and once more cost 7 to 12 % of a small sum over 4 hosts.
 */
#define LOOKS         500
#define YIELDS        1000
#define SLEEP_NSEC    20000
#define SLEEP_LONGEST 500000

struct mpi_transport {
    struct transport base;
    MPI_Comm communicator;
    pthread_mutex_t lock; /* held in every call of MPI: of two threads one calls at a time */
    int *node_first;      /* [nodes + 1] */
    long sleep_nsec;
    char host[MPI_MAX_PROCESSOR_NAME];
    char failure[MPI_MAX_PROCESSOR_NAME + MPI_MAX_ERROR_STRING + 64]; /* once it has failed */
};

_Static_assert(sizeof(MPI_Request) <= sizeof(void *), "a request of MPI must fit `inner`");

static struct mpi_transport *mpi_transport(struct transport *transport) {
    return (struct mpi_transport *)transport;
}

/* The first error is that of all later calls. */
static status check(struct mpi_transport *own, int code, const char *what) {
    struct transport *base = &own->base;
    if (code == MPI_SUCCESS && !base->failed) {
        return STATUS_OK;
    }
    pthread_mutex_lock(&own->lock);
    if (!base->failed) {
        char text[MPI_MAX_ERROR_STRING] = "unknown error";
        int length;
        MPI_Error_string(code, text, &length);
        snprintf(own->failure, sizeof own->failure, "rank %d (%s): %s failed: %s", base->rank,
            own->host, what, text);
        base->failed = true;
    }
    pthread_mutex_unlock(&own->lock);
    FAIL(STATUS_PEER, "%s", own->failure);
}

static status check_before(struct mpi_transport *own, size_t size) {
    TRY(check(own, MPI_SUCCESS, NULL));
    if (size > TRANSPORT_MESSAGE_LIMIT) {
        FAIL(STATUS_USAGE, "a message of %zu bytes; MPI takes at most %zu", size,
            TRANSPORT_MESSAGE_LIMIT);
    }
    return STATUS_OK;
}

static void keep(struct transport_request *request, MPI_Request inner) {
    *request = (struct transport_request){.active = true};
    memcpy(&request->inner, &inner, sizeof inner);
}

static status mpi_send(struct transport *transport, struct transport_request *request, int peer,
    int tag, const void *bytes, size_t size) {
    struct mpi_transport *own = mpi_transport(transport);
    TRY(check_before(own, size));
    MPI_Request inner;
    pthread_mutex_lock(&own->lock);
    int code = MPI_Isend(bytes, (int)size, MPI_BYTE, peer, tag, own->communicator, &inner);
    transport->bytes_sent += (int64_t)size;
    pthread_mutex_unlock(&own->lock);
    TRY(check(own, code, "MPI_Isend"));
    keep(request, inner);
    return STATUS_OK;
}

static status mpi_receive(struct transport *transport, struct transport_request *request, int peer,
    int tag, void *bytes, size_t size) {
    struct mpi_transport *own = mpi_transport(transport);
    TRY(check_before(own, size));
    MPI_Request inner;
    pthread_mutex_lock(&own->lock);
    int code = MPI_Irecv(bytes, (int)size, MPI_BYTE, peer, tag, own->communicator, &inner);
    transport->bytes_received += (int64_t)size;
    pthread_mutex_unlock(&own->lock);
    TRY(check(own, code, "MPI_Irecv"));
    keep(request, inner);
    return STATUS_OK;
}

static status mpi_sum(
    struct transport *transport, struct transport_request *request, float *values, size_t count) {
    struct mpi_transport *own = mpi_transport(transport);
    TRY(check_before(own, count * sizeof *values));
    MPI_Request inner;
    pthread_mutex_lock(&own->lock);
    int code = MPI_Iallreduce(
        MPI_IN_PLACE, values, (int)count, MPI_FLOAT, MPI_SUM, own->communicator, &inner);
    transport->bytes_sent += (int64_t)(count * sizeof *values);
    pthread_mutex_unlock(&own->lock);
    TRY(check(own, code, "MPI_Iallreduce"));
    keep(request, inner);
    return STATUS_OK;
}

static status mpi_test(struct transport *transport, struct transport_request *request, bool *done) {
    *done = !request->active;
    if (*done) {
        return STATUS_OK;
    }
    struct mpi_transport *own = mpi_transport(transport);
    TRY(check(own, MPI_SUCCESS, NULL));
    MPI_Request inner;
    int flag;
    memcpy(&inner, &request->inner, sizeof inner);
    pthread_mutex_lock(&own->lock);
    int code = MPI_Test(&inner, &flag, MPI_STATUS_IGNORE);
    pthread_mutex_unlock(&own->lock);
    TRY(check(own, code, "MPI_Test"));
    if (flag) {
        *request = (struct transport_request){0};
        *done = true;
        transport->pauses = 0;
    }
    return STATUS_OK;
}

static void mpi_pause(struct transport *transport) {
    struct mpi_transport *own = mpi_transport(transport);
    const int pauses = transport->pauses++;
    if (pauses < LOOKS) {
        return;
    }
    if (pauses < LOOKS + YIELDS) {
        own->sleep_nsec = SLEEP_NSEC;
        sched_yield();
        return;
    }
    nanosleep(&(struct timespec){.tv_nsec = own->sleep_nsec}, NULL);
    own->sleep_nsec = own->sleep_nsec < SLEEP_LONGEST / 2 ? own->sleep_nsec * 2 : SLEEP_LONGEST;
}

static void mpi_abort(struct transport *transport, int code) {
    MPI_Abort(mpi_transport(transport)->communicator, code);
    _Exit(code);
}

static void mpi_destroy(struct transport *transport) {
    struct mpi_transport *own = mpi_transport(transport);
    MPI_Comm_free(&own->communicator);
    pthread_mutex_destroy(&own->lock);
    free(own->node_first);
    free(own);
}

/* Orders the ranks by (node, rank on the node). A node goes by the lowest world rank on it, so the
 * node of world rank 0 comes first; ties of a split are broken by world rank. */
static status order_by_node(struct mpi_transport *own, MPI_Comm node) {
    struct transport *base = &own->base;
    int leader;
    MPI_Comm_rank(MPI_COMM_WORLD, &leader);
    MPI_Bcast(&leader, 1, MPI_INT, 0, node);
    TRY(check(
        own, MPI_Comm_split(MPI_COMM_WORLD, 0, leader, &own->communicator), "MPI_Comm_split"));
    MPI_Comm_set_errhandler(own->communicator, MPI_ERRORS_RETURN);
    MPI_Comm_rank(own->communicator, &base->rank);
    MPI_Comm_size(own->communicator, &base->ranks);
    return STATUS_OK;
}

/* The nodes that CONVOY_TEST_NODES pretends: whether this rank is the first of one. */
static status pretend_first(bool *first, const char *text, int rank, int ranks) {
    int next = 0;
    *first = false;
    for (const char *at = text; *at != '\0' && next < ranks;) {
        char *end;
        long count = strtol(at, &end, 10);
        if (end == at || count < 1 || (*end != ',' && *end != '\0')) {
            FAIL(STATUS_USAGE, "CONVOY_TEST_NODES is '%s': must be numbers of ranks", text);
        }
        *first = *first || rank == next;
        next += count < ranks ? (int)count : ranks;
        at = *end == ',' ? end + 1 : end;
    }
    return STATUS_OK;
}

/* Tells every rank which one is the first of its node, and counts. */
static status number_nodes(struct mpi_transport *own, bool first) {
    struct transport *base = &own->base;
    int mine = first, *is_first;
    TRY(MEMORY_ALLOCATE(&own->node_first, (size_t)base->ranks + 1));
    TRY(MEMORY_ALLOCATE(&is_first, (size_t)base->ranks));
    status result = check(own,
        MPI_Allgather(&mine, 1, MPI_INT, is_first, 1, MPI_INT, own->communicator), "MPI_Allgather");
    for (int r = 0; r < base->ranks && result == STATUS_OK; r++) {
        if (is_first[r]) {
            own->node_first[base->nodes++] = r;
        }
        base->node = r <= base->rank ? base->nodes - 1 : base->node;
    }
    free(is_first);
    TRY(result);
    own->node_first[base->nodes] = base->ranks;
    base->node_first = own->node_first;
    base->node_rank = base->rank - own->node_first[base->node];
    base->node_ranks = own->node_first[base->node + 1] - own->node_first[base->node];
    return STATUS_OK;
}

static status find_place(struct mpi_transport *own) {
    MPI_Comm node;
    int node_rank;
    TRY(check(own,
        MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &node),
        "MPI_Comm_split_type"));
    MPI_Comm_rank(node, &node_rank);
    status result = order_by_node(own, node);
    MPI_Comm_free(&node);
    TRY(result);
    bool first = node_rank == 0;
    const char *pretended = getenv("CONVOY_TEST_NODES");
    if (pretended != NULL) {
        TRY(pretend_first(&first, pretended, own->base.rank, own->base.ranks));
    }
    return number_nodes(own, first);
}

status transport_mpi_create(struct transport **transport) {
    *transport = NULL;
    struct mpi_transport *own;
    TRY(MEMORY_ALLOCATE(&own, 1));
    own->base = (struct transport){
        .shares_memory = true,
        .host = own->host,
        .send = mpi_send,
        .receive = mpi_receive,
        .sum = mpi_sum,
        .test = mpi_test,
        .pause = mpi_pause,
        .abort = mpi_abort,
        .destroy = mpi_destroy,
    };
    int length, threads;
    MPI_Get_processor_name(own->host, &length);
    MPI_Query_thread(&threads);
    own->base.any_thread = threads >= MPI_THREAD_SERIALIZED;
    pthread_mutex_init(&own->lock, NULL);
    status result;
    TRY_TO(failed, result, find_place(own));
    *transport = &own->base;
    return STATUS_OK;
failed:
    pthread_mutex_destroy(&own->lock);
    free(own->node_first);
    free(own);
    return result;
}
