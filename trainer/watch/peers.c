#include "trainer/watch/peers.h"

#include "base/memory.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <mpi.h>
#include <net/if.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

/* The fields of /proc/PID/stat that tell a process's state and when it began; the name before them
 * may hold blanks and brackets. */
static bool read_process(int process, char *state, uint64_t *started) {
    char path[64], text[1024];
    snprintf(path, sizeof path, "/proc/%d/stat", process);
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return false;
    }
    size_t size = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[size] = '\0';
    const char *rest = strrchr(text, ')');
    unsigned long long start;
    if (rest == NULL || sscanf(rest,
                            ") %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d "
                            "%*d %*d %*d %*d %llu",
                            state, &start) != 2) {
        return false;
    }
    *started = start;
    return true;
}

static void find_addresses(struct peer *mine) {
    struct ifaddrs *list, *at;
    int count = 0;
    if (getifaddrs(&list) != 0) {
        return;
    }
    for (at = list; at != NULL && count < PEERS_ADDRESSES; at = at->ifa_next) {
        const bool usable = (at->ifa_flags & IFF_UP) && !(at->ifa_flags & IFF_LOOPBACK);
        if (usable && at->ifa_addr != NULL && at->ifa_addr->sa_family == AF_INET) {
            mine->address[count++] = ((struct sockaddr_in *)at->ifa_addr)->sin_addr.s_addr;
        }
    }
    freeifaddrs(list);
}

/* A socket on a port of the system's choice, on all addresses of this host. */
static int listen_anywhere(uint32_t *port) {
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t size = sizeof address;
    int made = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (made < 0) {
        return -1;
    }
    if (bind(made, (struct sockaddr *)&address, sizeof address) != 0 ||
        getsockname(made, (struct sockaddr *)&address, &size) != 0) {
        close(made);
        return -1;
    }
    *port = ntohs(address.sin_port);
    return made;
}

static int by_rank(const void *a, const void *b) {
    const struct peer *left = a, *right = b;
    return left->rank < right->rank ? -1 : left->rank > right->rank;
}

status peers_open(struct peers *peers, const struct transport *transport) {
    *peers = (struct peers){
        .socket = -1, .rank = transport->rank, .ranks = transport->ranks, .node = transport->node};
    const size_t ranks = (size_t)transport->ranks;
    TRY(MEMORY_ALLOCATE(&peers->peer, ranks));
    TRY(MEMORY_ALLOCATE(&peers->nodes, ranks));
    TRY(MEMORY_ALLOCATE(&peers->answer, ranks));
    struct peer mine = {
        .rank = transport->rank, .node = transport->node, .process = (int32_t)getpid()};
    char state;
    read_process(mine.process, &state, &mine.started);
    snprintf(mine.host, sizeof mine.host, "%s", transport->host);
    peers->socket = listen_anywhere(&mine.port);
    find_addresses(&mine);
    if (getrandom(&peers->key, sizeof peers->key, 0) != (ssize_t)sizeof peers->key) {
        peers->key = (uint64_t)mine.process << 32 | mine.port;
    }
    MPI_Bcast(&peers->key, 1, MPI_UINT64_T, 0, MPI_COMM_WORLD);
    MPI_Allgather(
        &mine, (int)sizeof mine, MPI_BYTE, peers->peer, (int)sizeof mine, MPI_BYTE, MPI_COMM_WORLD);
    qsort(peers->peer, ranks, sizeof *peers->peer, by_rank);
    for (size_t r = 0; r < ranks; r++) {
        peers->nodes[r] = peers->peer[r].node;
    }
    return STATUS_OK;
}

void peers_close(struct peers *peers) {
    if (peers->socket >= 0) {
        close(peers->socket);
    }
    free(peers->peer);
    free(peers->nodes);
    free(peers->answer);
    *peers = (struct peers){.socket = -1};
}

static void send_to(
    const struct peers *peers, uint32_t address, uint32_t port, const struct heart_beat *beat) {
    const struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr.s_addr = address};
    if (sendto(peers->socket, beat, sizeof *beat, MSG_DONTWAIT | MSG_NOSIGNAL,
            (const struct sockaddr *)&to, sizeof to) < 0) {
        return; /* as good as lost: the next beat comes */
    }
}

void peers_send(struct peers *peers, int rank, struct heart_beat *beat) {
    const struct peer *peer = &peers->peer[rank];
    const struct answer *answer = &peers->answer[rank];
    beat->key = peers->key;
    if (peers->socket < 0 || peer->port == 0) {
        return;
    }
    if (answer->port != 0) {
        send_to(peers, answer->address, answer->port, beat);
        return;
    }
    if (peer->node == peers->node) {
        send_to(peers, htonl(INADDR_LOOPBACK), peer->port, beat);
    }
    for (int a = 0; a < PEERS_ADDRESSES && peer->address[a] != 0; a++) {
        send_to(peers, peer->address[a], peer->port, beat);
    }
}

static bool is_place(const struct peers *peers, const struct heart_place *place) {
    return place->rank >= HEART_NOBODY && place->rank < peers->ranks && place->phase >= 0 &&
           place->phase <= HEART_LOST;
}

static bool is_ours(const struct peers *peers, const struct heart_beat *beat) {
    const struct heart_verdict *verdict = &beat->verdict;
    return beat->key == peers->key && beat->from >= 0 && beat->from < peers->ranks &&
           is_place(peers, &beat->behind) && is_place(peers, &beat->waiter) &&
           verdict->rank >= HEART_NOBODY && verdict->rank < peers->ranks && verdict->by >= 0 &&
           verdict->by < peers->ranks;
}

bool peers_receive(struct peers *peers, struct heart_beat *beat) {
    struct sockaddr_in from;
    for (;;) {
        socklen_t size = sizeof from;
        ssize_t got = recvfrom(
            peers->socket, beat, sizeof *beat, MSG_DONTWAIT, (struct sockaddr *)&from, &size);
        if (got < 0) {
            return false;
        }
        if (got == (ssize_t)sizeof *beat && is_ours(peers, beat)) {
            peers->answer[beat->from] =
                (struct answer){.address = from.sin_addr.s_addr, .port = ntohs(from.sin_port)};
            return true;
        }
    }
}

enum heart_reason peers_look(const struct peers *peers, int rank) {
    const struct peer *peer = &peers->peer[rank];
    char state;
    uint64_t started;
    if (peer->node != peers->node || peer->started == 0) {
        return HEART_SILENT;
    }
    if (!read_process(peer->process, &state, &started)) {
        return HEART_GONE;
    }
    if (started != peer->started) {
        return HEART_SILENT; /* another process space: it cannot be seen from here */
    }
    return state == 'T' || state == 't' ? HEART_STOPPED : state == 'Z' ? HEART_GONE : HEART_SILENT;
}

void peers_kill(const struct peers *peers, int rank) {
    const struct peer *peer = &peers->peer[rank];
    char state;
    uint64_t started;
    if (peer->node == peers->node && rank != peers->rank && peer->started != 0 &&
        read_process(peer->process, &state, &started) && started == peer->started) {
        kill(peer->process, SIGKILL);
    }
}
