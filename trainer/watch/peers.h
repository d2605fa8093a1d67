/* The side channel of the heartbeat: small datagrams (UDP) between the ranks of a job, apart from
 * MPI, so that it works while MPI hangs. Where every rank listens is exchanged over MPI once.
 *
 * One socket takes IPv4 and IPv6, where the system has both: IPv4 addresses are written in IPv6's
 * way (::ffff:10.0.0.1). Addresses that are good on one link alone (fe80::) are left out. A host
 * may have many addresses, of which some lead nowhere: a rank is written to at all of them until it
 * has answered from one. Datagrams may be lost; whoever needs an answer asks again.
 */
#ifndef TRAINER_WATCH_PEERS_H
#define TRAINER_WATCH_PEERS_H

#include "trainer/watch/heart.h"
#include "worker/exchange/transport.h"

#include <netinet/in.h>

#define PEERS_ADDRESSES 8
#define PEERS_HOST      64

/* A rank, and where to reach it: plain bytes. */
struct peer {
    int32_t rank, node, process;
    uint32_t port;                            /* 0: none */
    struct in6_addr address[PEERS_ADDRESSES]; /* ::, from there on: none */
    uint64_t started; /* when its process began, in ticks of its host: a number of a process may
                         come again, or mean another one in a container */
    char host[PEERS_HOST];
};

struct peers {
    int socket;    /* -1: the system gives none, and nothing is ever heard */
    bool has_ipv6; /* that the socket takes */
    int rank, ranks, node;
    uint64_t key;
    struct peer *peer; /* [ranks], by rank of the transport */
    int *nodes;        /* [ranks] */
    struct answer {
        struct in6_addr address; /* where a rank wrote from */
        uint32_t port;           /* 0: it has not */
    } * answer;                  /* [ranks] */
};

/* For all ranks of MPI_COMM_WORLD. Fails with STATUS_SYSTEM for want of memory alone. */
status peers_open(struct peers *peers, const struct transport *transport);
void peers_close(struct peers *peers);

/* Sends; what fails is as good as lost. */
void peers_send(struct peers *peers, int rank, struct heart_beat *beat);
/* Takes the next message that bears the job's key; false where there is none. */
bool peers_receive(struct peers *peers, struct heart_beat *beat);

/* What this host says of a rank's process: HEART_STOPPED, HEART_GONE, or HEART_SILENT where it
 * cannot be seen from here. */
enum heart_reason peers_look(const struct peers *peers, int rank);
/* Kills the process of a rank where it is surely that one and on this host. */
void peers_kill(const struct peers *peers, int rank);

#endif
