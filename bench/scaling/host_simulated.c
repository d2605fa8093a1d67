/* A host that SimGrid plays: how bytes travel, in place of worker/exchange/transport_mpi.c, and how
 * time passes.
 *
 * A rank that waits sleeps until something comes, where a real one looks again and again: a
 * thousand ranks that look would take days. All ranks live in one process and share its variables.
 */
#include "base/memory.h"
#include "host.h"
#include "payload.h"

#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define RANKS_LIMIT    4096
#define REQUESTS_LIMIT 65536

/* With a thread that moves the exchange on, computing is a message to oneself, over a link of this
 * rate in bytes a second (scaling.py): so that a rank can wait for whatever comes first, its end or
 * a message of another rank. */
#define SELF_RATE    1000000
#define SELF_TAG     30000
#define SELF_LONGEST 1 /* seconds of one message */

struct simulated {
    struct transport base;
    MPI_Request *request;             /* under way, without gaps */
    struct transport_request **owner; /* of each, who stays where he is; NULL: computing */
    int count;
    bool computing;
    double spent; /* seconds by which the computing under way grows */
};

static struct simulated *all[RANKS_LIMIT];
static int node_first[RANKS_LIMIT + 1];

static struct simulated *simulated(struct transport *transport) {
    return (struct simulated *)transport;
}

/* ---- messages ---- */

static status keep(struct simulated *own, MPI_Request inner, struct transport_request *owner) {
    if (own->count == REQUESTS_LIMIT) {
        FAIL(STATUS_SYSTEM, "more than %d messages under way", REQUESTS_LIMIT);
    }
    own->request[own->count] = inner;
    own->owner[own->count++] = owner;
    return STATUS_OK;
}

static status start_send(struct transport *transport, struct transport_request *request, int peer,
    int tag, const void *bytes, size_t size) {
    MPI_Request inner;
    MPI_Isend(payload_of(bytes, size), (int)size, MPI_BYTE, peer, tag, MPI_COMM_WORLD, &inner);
    transport->bytes_sent += (int64_t)size;
    *request = (struct transport_request){.active = true};
    return keep(simulated(transport), inner, request);
}

static status start_receive(struct transport *transport, struct transport_request *request,
    int peer, int tag, void *bytes, size_t size) {
    MPI_Request inner;
    MPI_Irecv(payload_of(bytes, size), (int)size, MPI_BYTE, peer, tag, MPI_COMM_WORLD, &inner);
    transport->bytes_received += (int64_t)size;
    *request = (struct transport_request){.active = true};
    return keep(simulated(transport), inner, request);
}

static void complete(struct simulated *own, int index) {
    if (own->owner[index] != NULL) {
        own->owner[index]->active = false;
    } else {
        own->computing = false;
    }
    own->count--;
    own->request[index] = own->request[own->count];
    own->owner[index] = own->owner[own->count];
}

/* MPI_UNDEFINED: nothing is left to wait for, which is how small messages end that SimGrid has
 * taken a copy of. */
static void complete_what_came(struct simulated *own, int index) {
    if (index != MPI_UNDEFINED) {
        complete(own, index);
        return;
    }
    while (own->count > 0) {
        complete(own, 0);
    }
}

static void complete_all_that_came(struct simulated *own) {
    for (int index, came = 1; came && own->count > 0;) {
        MPI_Testany(own->count, own->request, &index, &came, MPI_STATUS_IGNORE);
        if (came) {
            complete_what_came(own, index);
        }
    }
}

static void wait_for_any(struct simulated *own) {
    int index;
    MPI_Waitany(own->count, own->request, &index, MPI_STATUS_IGNORE);
    complete_what_came(own, index);
}

/* Requests become complete in `pause` and while computing. */
static status look(struct transport *transport, struct transport_request *request, bool *done) {
    (void)transport;
    *done = !request->active;
    return STATUS_OK;
}

static void pause_until_any(struct transport *transport) {
    if (simulated(transport)->count > 0) {
        wait_for_any(simulated(transport));
    }
}

/* MPI_Abort would end this rank alone, the others wait for ever, and smpirun call that success. */
void host_end(int code) {
    fflush(NULL);
    _Exit(code);
}

static void end_job(struct transport *transport, int code) {
    (void)transport;
    host_end(code);
}

status host_transport_create(struct transport **transport) {
    int rank, ranks;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    if (ranks > RANKS_LIMIT) {
        FAIL(STATUS_USAGE, "%d ranks: at most %d", ranks, RANKS_LIMIT);
    }
    struct simulated *own;
    TRY(MEMORY_ALLOCATE(&own, 1));
    TRY(MEMORY_ALLOCATE(&own->request, REQUESTS_LIMIT));
    TRY(MEMORY_ALLOCATE(&own->owner, REQUESTS_LIMIT));
    for (int r = 0; r <= ranks; r++) {
        node_first[r] = r;
    }
    own->base = (struct transport){
        .rank = rank,
        .ranks = ranks,
        .node = rank,
        .nodes = ranks,
        .node_ranks = 1,
        .node_first = node_first,
        .host = "simulated",
        .send = start_send,
        .receive = start_receive,
        .test = look,
        .pause = pause_until_any,
        .abort = end_job,
    };
    all[rank] = own;
    *transport = &own->base;
    return STATUS_OK;
}

/* ---- time ---- */

static void sleep_for(double seconds) {
    struct timespec time = {.tv_sec = (time_t)seconds};
    time.tv_nsec = (long)((seconds - (double)time.tv_sec) * 1e9);
    nanosleep(&time, NULL);
}

static status compute(struct simulated *own, double seconds, struct exchange *exchange) {
    static char nothing[SELF_LONGEST * SELF_RATE];
    const int rank = own->base.rank, size = (int)(seconds * SELF_RATE);
    MPI_Request send, receive;
    MPI_Irecv(nothing, size, MPI_BYTE, rank, SELF_TAG, MPI_COMM_WORLD, &receive);
    MPI_Isend(nothing, size, MPI_BYTE, rank, SELF_TAG, MPI_COMM_WORLD, &send);
    TRY(keep(own, receive, NULL));
    own->computing = true;
    while (own->computing) {
        wait_for_any(own);
        TRY(exchange_progress(exchange));
    }
    MPI_Wait(&send, MPI_STATUS_IGNORE);
    return STATUS_OK;
}

status host_compute(struct transport *transport, double seconds, struct exchange *exchange) {
    struct simulated *own = simulated(transport);
    if (exchange == NULL) {
        sleep_for(seconds > 0.0 ? seconds : 0.0);
        complete_all_that_came(own);
        return STATUS_OK;
    }
    for (double part; seconds * SELF_RATE >= 1.0; seconds += own->spent - part) {
        part = seconds < SELF_LONGEST ? seconds : SELF_LONGEST;
        own->spent = 0.0;
        TRY(compute(own, part, exchange));
    }
    return STATUS_OK;
}

void host_spend(double seconds) {
    int rank;
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    all[rank]->spent += all[rank]->computing ? seconds : 0.0;
    sleep_for(seconds);
}
