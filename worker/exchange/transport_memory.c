#include "worker/exchange/transport.h"

#include "base/memory.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define YIELDS 100 /* before a pause sleeps */

/* One end of a message: a send or a receive that was posted. It belongs to its request, and stands
 * in one list of the receiving rank until it is matched. Or one rank's part of a sum, in no list.
 */
struct end {
    struct end *next;
    int peer, tag;
    void *bytes;
    size_t size;
    int delay; /* of a send: so many looks of the receiver pass it by */
    bool receive;
    bool done;
    size_t other_size; /* of the end it was matched with */
};

/* A sum that not all ranks have come to yet. */
struct sum {
    struct sum *next;
    int64_t number;
    int came;
    struct end *end[]; /* [ranks] */
};

struct memory_transport {
    struct transport base;
    struct world *world;
    int64_t sums;                 /* that this rank has begun */
    struct end *sends, *receives; /* to this rank, and by it, in order; not yet matched */
    pthread_cond_t changed;       /* something came, or something of ours was taken */
    bool news;
    char host[32];
};

struct world {
    pthread_mutex_t mutex; /* guards everything below and in the ranks' lists */
    int alive;
    struct sum *sums;
    bool delays;
    unsigned short random[3]; /* of nrand48 */
    int *node_first;          /* [nodes + 1] */
    struct memory_transport rank[];
};

static struct memory_transport *memory_transport(struct transport *transport) {
    return (struct memory_transport *)transport;
}

static void append(struct end **list, struct end *end) {
    while (*list != NULL) {
        list = &(*list)->next;
    }
    *list = end;
}

static void tell(struct memory_transport *rank) {
    rank->news = true;
    pthread_cond_signal(&rank->changed);
}

/* `bytes` counts those of this rank. */
static status post(struct transport_request *request, struct end **list, int64_t *bytes,
    struct memory_transport *owner, struct end filled) {
    struct end *end;
    TRY(MEMORY_ALLOCATE(&end, 1));
    *end = filled;
    *request = (struct transport_request){.active = true, .inner = end};
    struct world *world = owner->world;
    pthread_mutex_lock(&world->mutex);
    if (world->delays && !end->receive) {
        end->delay = (int)(nrand48(world->random) % 4);
    }
    append(list, end);
    *bytes += (int64_t)filled.size;
    tell(owner);
    pthread_mutex_unlock(&world->mutex);
    return STATUS_OK;
}

static status memory_send(struct transport *transport, struct transport_request *request, int peer,
    int tag, const void *bytes, size_t size) {
    struct memory_transport *to = &memory_transport(transport)->world->rank[peer];
    return post(request, &to->sends, &transport->bytes_sent, to,
        (struct end){.peer = transport->rank, .tag = tag, .bytes = (void *)bytes, .size = size});
}

static status memory_receive(struct transport *transport, struct transport_request *request,
    int peer, int tag, void *bytes, size_t size) {
    struct memory_transport *own = memory_transport(transport);
    return post(request, &own->receives, &transport->bytes_received, own,
        (struct end){.peer = peer, .tag = tag, .bytes = bytes, .size = size, .receive = true});
}

/* The sum of this number, made where this rank is the first to come to it. */
static status find_sum(struct sum **found, struct world *world, int64_t number, int ranks) {
    struct sum **at = &world->sums;
    while (*at != NULL && (*at)->number != number) {
        at = &(*at)->next;
    }
    if (*at == NULL) {
        size_t size = sizeof(struct sum) + (size_t)ranks * sizeof(struct end *);
        TRY(memory_allocate((void **)at, 1, size));
        (*at)->number = number;
    }
    *found = *at;
    return STATUS_OK;
}

/* Adds up from the last rank to the first: no order of ours. */
static void complete_sum(struct world *world, const struct sum *sum, int ranks) {
    float *total = sum->end[ranks - 1]->bytes;
    size_t count = sum->end[0]->size / sizeof *total;
    for (int r = ranks - 2; r >= 0; r--) {
        const float *values = sum->end[r]->bytes;
        for (size_t i = 0; i < count && sum->end[r]->size == sum->end[ranks - 1]->size; i++) {
            total[i] += values[i];
        }
    }
    for (int r = 0; r < ranks; r++) {
        sum->end[r]->other_size = sum->end[ranks - 1]->size;
        if (r < ranks - 1 && sum->end[r]->size == sum->end[r]->other_size) {
            memcpy(sum->end[r]->bytes, total, sum->end[r]->size);
        }
        sum->end[r]->done = true;
        tell(&world->rank[r]);
    }
    struct sum **at = &world->sums;
    while (*at != sum) {
        at = &(*at)->next;
    }
    *at = sum->next;
}

static status join_sum(struct memory_transport *own, struct end *end) {
    struct world *world = own->world;
    const int ranks = own->base.ranks;
    struct sum *sum = NULL;
    TRY(find_sum(&sum, world, own->sums++, ranks));
    sum->end[own->base.rank] = end;
    if (++sum->came == ranks) {
        complete_sum(world, sum, ranks);
        free(sum);
    }
    return STATUS_OK;
}

static status memory_sum(
    struct transport *transport, struct transport_request *request, float *values, size_t count) {
    struct memory_transport *own = memory_transport(transport);
    struct end *end;
    TRY(MEMORY_ALLOCATE(&end, 1));
    *end = (struct end){.bytes = values, .size = count * sizeof *values};
    pthread_mutex_lock(&own->world->mutex);
    status result = join_sum(own, end);
    transport->bytes_sent += (int64_t)(count * sizeof *values);
    pthread_mutex_unlock(&own->world->mutex);
    if (result != STATUS_OK) {
        free(end);
        return result;
    }
    *request = (struct transport_request){.active = true, .inner = end};
    return STATUS_OK;
}

/* Copies what has come into the receives that wait for it, in the order of both. */
static void match(struct memory_transport *own) {
    for (struct end **at = &own->receives; *at != NULL;) {
        struct end *receive = *at;
        struct end **from = &own->sends;
        while (*from != NULL && ((*from)->peer != receive->peer || (*from)->tag != receive->tag)) {
            from = &(*from)->next;
        }
        struct end *send = *from;
        if (send == NULL || send->delay > 0) {
            at = &receive->next;
            continue;
        }
        if (send->size == receive->size && send->size > 0) {
            memcpy(receive->bytes, send->bytes, send->size);
        }
        receive->other_size = send->size;
        send->other_size = receive->size;
        *at = receive->next;
        *from = send->next;
        send->done = receive->done = true;
        tell(&own->world->rank[receive->peer]);
    }
    /* Only now, or a later receive could take what an earlier one was refused. */
    for (struct end *send = own->sends; send != NULL; send = send->next) {
        send->delay -= send->delay > 0;
    }
}

static status memory_test(
    struct transport *transport, struct transport_request *request, bool *done) {
    *done = !request->active;
    if (*done) {
        return STATUS_OK;
    }
    struct memory_transport *own = memory_transport(transport);
    struct end *end = request->inner;
    pthread_mutex_lock(&own->world->mutex);
    match(own);
    *done = end->done;
    pthread_mutex_unlock(&own->world->mutex);
    if (!*done) {
        return STATUS_OK;
    }
    transport->pauses = 0;
    size_t size = end->size, other_size = end->other_size;
    bool receive = end->receive;
    int tag = end->tag;
    free(end);
    *request = (struct transport_request){0};
    if (size != other_size) {
        transport->failed = true;
        FAIL(STATUS_PEER, "rank %d %s %zu bytes with tag %d, but the other end has %zu",
            transport->rank, receive ? "expects" : "sends", size, tag, other_size);
    }
    return STATUS_OK;
}

static void memory_pause(struct transport *transport) {
    struct memory_transport *own = memory_transport(transport);
    struct world *world = own->world;
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    pthread_mutex_lock(&world->mutex);
    /* A delayed message comes by being looked for: no news tells of it. Nor does any of what a
     * neighbour writes into shared memory, which is soon there. */
    bool wait = !own->news && !world->delays && transport->pauses++ > YIELDS;
    if (wait) {
        pthread_cond_timedwait(&own->changed, &world->mutex, &until);
    }
    own->news = false;
    pthread_mutex_unlock(&world->mutex);
    if (!wait) {
        sched_yield();
    }
}

static void memory_abort(struct transport *transport, int code) {
    (void)transport;
    _Exit(code);
}

static void free_list(struct end *end) {
    while (end != NULL) {
        struct end *next = end->next;
        free(end);
        end = next;
    }
}

static void memory_destroy(struct transport *transport) {
    struct world *world = memory_transport(transport)->world;
    int ranks = transport->ranks;
    pthread_mutex_lock(&world->mutex);
    bool last = --world->alive == 0;
    pthread_mutex_unlock(&world->mutex);
    if (!last) {
        return;
    }
    for (int r = 0; r < ranks; r++) {
        free_list(world->rank[r].sends);
        free_list(world->rank[r].receives);
        pthread_cond_destroy(&world->rank[r].changed);
    }
    while (world->sums != NULL) {
        struct sum *next = world->sums->next;
        free(world->sums);
        world->sums = next;
    }
    pthread_mutex_destroy(&world->mutex);
    free(world->node_first);
    free(world);
}

/* The first rank of every node, and after the last all ranks. */
static int number_nodes(int *first, int ranks, const int *node_ranks) {
    int nodes = 0;
    first[0] = 0;
    while (first[nodes] < ranks) {
        first[nodes + 1] = node_ranks != NULL ? first[nodes] + node_ranks[nodes] : ranks;
        nodes++;
    }
    return nodes;
}

static void place(struct transport *base, const struct world *world, int nodes, int rank) {
    int node = 0;
    while (world->node_first[node + 1] <= rank) {
        node++;
    }
    base->node = node;
    base->nodes = nodes;
    base->node_rank = rank - world->node_first[node];
    base->node_ranks = world->node_first[node + 1] - world->node_first[node];
    base->node_first = world->node_first;
}

status transport_memory_create(
    struct transport **transports, int ranks, const int *node_ranks, uint64_t delay_seed) {
    struct world *world;
    int *node_first;
    TRY(MEMORY_ALLOCATE(&node_first, (size_t)ranks + 1));
    status result = memory_allocate(
        (void **)&world, 1, sizeof *world + (size_t)ranks * sizeof(struct memory_transport));
    if (result != STATUS_OK) {
        free(node_first);
        return result;
    }
    int nodes = number_nodes(node_first, ranks, node_ranks);
    world->node_first = node_first;
    pthread_mutex_init(&world->mutex, NULL);
    world->alive = ranks;
    world->delays = delay_seed != 0;
    for (int i = 0; i < 3; i++) {
        world->random[i] = (unsigned short)(delay_seed >> 16 * i);
    }
    for (int r = 0; r < ranks; r++) {
        struct memory_transport *own = &world->rank[r];
        own->world = world;
        pthread_cond_init(&own->changed, NULL);
        snprintf(own->host, sizeof own->host, "thread%d", r);
        own->base = (struct transport){
            .rank = r,
            .ranks = ranks,
            .shares_memory = true,
            .any_thread = true,
            .host = own->host,
            .send = memory_send,
            .receive = memory_receive,
            .sum = memory_sum,
            .test = memory_test,
            .pause = memory_pause,
            .abort = memory_abort,
            .destroy = memory_destroy,
        };
        place(&own->base, world, nodes, r);
        transports[r] = &own->base;
    }
    return STATUS_OK;
}
