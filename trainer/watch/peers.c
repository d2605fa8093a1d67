#include "trainer/watch/peers.h"

#include "base/memory.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <mpi.h>
#include <net/if.h>
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

/* ---- addresses ---- */

static struct in6_addr of_ipv4(struct in_addr address) {
    struct in6_addr mapped = {.s6_addr = {[10] = 0xff, [11] = 0xff}};
    memcpy(&mapped.s6_addr[12], &address, sizeof address);
    return mapped;
}

/* It stands at the same place in both. */
static uint32_t port_of(const struct sockaddr *from) {
    return ntohs(((const struct sockaddr_in *)(const void *)from)->sin_port);
}

/* False for what nobody on another host can use. */
static bool read_address(struct in6_addr *address, const struct sockaddr *from) {
    if (from != NULL && from->sa_family == AF_INET) {
        *address = of_ipv4(((const struct sockaddr_in *)(const void *)from)->sin_addr);
        return true;
    }
    if (from != NULL && from->sa_family == AF_INET6) {
        *address = ((const struct sockaddr_in6 *)(const void *)from)->sin6_addr;
        return !IN6_IS_ADDR_LINKLOCAL(address);
    }
    return false;
}

static void find_addresses(struct peer *mine) {
    struct ifaddrs *list, *at;
    int count = 0;
    if (getifaddrs(&list) != 0) {
        return;
    }
    for (at = list; at != NULL && count < PEERS_ADDRESSES; at = at->ifa_next) {
        const bool usable = (at->ifa_flags & IFF_UP) && !(at->ifa_flags & IFF_LOOPBACK);
        if (usable && read_address(&mine->address[count], at->ifa_addr)) {
            count++;
        }
    }
    if (count < PEERS_ADDRESSES) {
        mine->address[count] = in6addr_any;
    }
    freeifaddrs(list);
}

/* The address as the socket takes it; its size, 0: it cannot. */
static socklen_t write_address(struct sockaddr_storage *to, const struct peers *peers,
    const struct in6_addr *address, uint32_t port) {
    *to = (struct sockaddr_storage){0};
    if (peers->has_ipv6) {
        const struct sockaddr_in6 ipv6 = {
            .sin6_family = AF_INET6, .sin6_port = htons((uint16_t)port), .sin6_addr = *address};
        memcpy(to, &ipv6, sizeof ipv6);
        return sizeof ipv6;
    }
    struct sockaddr_in ipv4 = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    memcpy(&ipv4.sin_addr, &address->s6_addr[12], sizeof ipv4.sin_addr);
    memcpy(to, &ipv4, sizeof ipv4);
    return IN6_IS_ADDR_V4MAPPED(address) || IN6_IS_ADDR_UNSPECIFIED(address) ? sizeof ipv4 : 0;
}

/* A socket on a port of the system's choice, on all addresses of this host. */
static int listen_on(struct peers *peers, uint32_t *port, bool ipv6) {
    struct sockaddr_storage address;
    const int off = 0;
    peers->has_ipv6 = ipv6;
    socklen_t size = write_address(&address, peers, &in6addr_any, 0);
    int made = socket(address.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (made < 0) {
        return -1;
    }
    if ((ipv6 && setsockopt(made, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) != 0) ||
        bind(made, (struct sockaddr *)&address, size) != 0 ||
        getsockname(made, (struct sockaddr *)&address, &size) != 0) {
        close(made);
        return -1;
    }
    *port = port_of((const struct sockaddr *)&address);
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
    peers->socket = listen_on(peers, &mine.port, true);
    if (peers->socket < 0) {
        peers->socket = listen_on(peers, &mine.port, false);
    }
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

static void send_to(const struct peers *peers, const struct in6_addr *address, uint32_t port,
    const struct heart_beat *beat) {
    struct sockaddr_storage to;
    const socklen_t size = write_address(&to, peers, address, port);
    if (size == 0 || sendto(peers->socket, beat, sizeof *beat, MSG_DONTWAIT | MSG_NOSIGNAL,
                         (const struct sockaddr *)&to, size) < 0) {
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
        send_to(peers, &answer->address, answer->port, beat);
        return;
    }
    if (peer->node == peers->node) {
        const struct in6_addr here = of_ipv4((struct in_addr){htonl(INADDR_LOOPBACK)});
        send_to(peers, &here, peer->port, beat);
    }
    for (int a = 0; a < PEERS_ADDRESSES && !IN6_IS_ADDR_UNSPECIFIED(&peer->address[a]); a++) {
        send_to(peers, &peer->address[a], peer->port, beat);
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
    struct sockaddr_storage from;
    struct in6_addr address;
    for (;;) {
        socklen_t size = sizeof from;
        ssize_t got = recvfrom(
            peers->socket, beat, sizeof *beat, MSG_DONTWAIT, (struct sockaddr *)&from, &size);
        if (got < 0) {
            return false;
        }
        if (got == (ssize_t)sizeof *beat && is_ours(peers, beat)) {
            const struct sockaddr *sender = (const struct sockaddr *)&from;
            if (read_address(&address, sender)) {
                peers->answer[beat->from] = (struct answer){address, port_of(sender)};
            }
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
