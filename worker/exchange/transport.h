/* How bytes travel between ranks: a small table of functions, so that the exchange runs over MPI,
 * inside one process (tests, sanitizers, fuzzing), and over whatever comes.
 *
 * Messages between two ranks with one tag arrive in order. Nothing here blocks but `wait`.
 * Sizes are known to both sides beforehand.
 */
#ifndef WORKER_EXCHANGE_TRANSPORT_H
#define WORKER_EXCHANGE_TRANSPORT_H

#include "base/status.h"
#include "worker/activity.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One send or receive under way; `inner` belongs to the transport. */
struct transport_request {
    bool active;
    void *inner;
};

struct transport {
    int rank, ranks;
    int node, nodes;           /* of this rank, by number; ranks of a node are neighbours */
    int node_rank, node_ranks; /* among the ranks of the node */
    const int *node_first;     /* [nodes + 1]: node n has the ranks node_first[n] .. [n + 1] - 1 */
    bool shares_memory;        /* ranks of a node may share memory: see share.h */
    const char *host;          /* of this rank, for messages */
    struct activity *activity; /* of this rank: who waits marks it; NULL: nobody looks */
    /* An error of the transport itself: this rank is alone with it, and others may wait for what it
     * never sends. All that it can do is to end the job. */
    _Atomic bool failed;
    bool any_thread; /* all functions but `destroy` may be called by several threads at a time */
    /* Payload bytes handed to send since the transport was made. */
    int64_t bytes_sent, bytes_received;
    /* Calls of `pause` since something last came: the longer a wait, the longer a pause. Who sees
     * something come without `test` sets it to 0. */
    _Atomic int pauses;
    status (*send)(struct transport *transport, struct transport_request *request, int peer,
        int tag, const void *bytes, size_t size);
    status (*receive)(struct transport *transport, struct transport_request *request, int peer,
        int tag, void *bytes, size_t size);
    /* [all] Starts adding up `values` of all ranks, elementwise in an order of the transport's own;
     * all get the same bits, in place. All ranks start the same sums in the same order. Its bytes
     * count as sent once: what the transport makes of them is not known. */
    status (*sum)(struct transport *transport, struct transport_request *request, float *values,
        size_t count);
    /* *done tells whether the request is complete; a request that is not active is complete. */
    status (*test)(struct transport *transport, struct transport_request *request, bool *done);
    /* Gives the processor away for a moment while waiting (ranks may outnumber cores). */
    void (*pause)(struct transport *transport);
    /* Ends the whole job at once with exit code `code`. Does not return. */
    void (*abort)(struct transport *transport, int code);
    void (*destroy)(struct transport *transport);
};

/* Waits for a request, calling test and pause. */
status transport_wait(struct transport *transport, struct transport_request *request);

/* Send and wait, receive and wait. */
status transport_send(
    struct transport *transport, int peer, int tag, const void *bytes, size_t size);
status transport_receive(struct transport *transport, int peer, int tag, void *bytes, size_t size);

/* First tags, so that the messages of different things never meet. */
enum transport_tag {
    TRANSPORT_TAG_AGREEMENT = 0, /* one a round */
    TRANSPORT_TAG_COMPARE = 32,
    TRANSPORT_TAG_NUMBERS = 40,
    TRANSPORT_TAG_CLOCK = 48,
    TRANSPORT_TAG_TIMELINE = 49,
    TRANSPORT_TAG_SHARE = 50,
    TRANSPORT_TAG_VECTOR = 52,
    TRANSPORT_TAG_SUMS = 56,
    TRANSPORT_TAG_EXCHANGE = 64,
};

/* The most bytes of one message: what MPI's int counts hold. Longer ones are refused. */
#define TRANSPORT_MESSAGE_LIMIT ((size_t)INT32_MAX)

/* Over MPI_COMM_WORLD (duplicated): collective. MPI must be initialised. Ranks are ordered by
 * (node, rank on the node), so that subtrees stay inside a node; `transport->rank` is that order,
 * and rank 0 is MPI's rank 0. An error of MPI is STATUS_PEER,
 * naming rank and host, here and in every later call: nothing waits any more.
 *
 * For tests, CONVOY_TEST_NODES pretends that the ranks of one node are on several: "2,3,1" gives
 * two to the first, three to the second, the rest to the third. STATUS_USAGE where it is no such
 * list.
 */
status transport_mpi_create(struct transport **transport);

/* `ranks` transports inside one process, one a thread, as if on nodes of node_ranks[0], [1], ...
 * ranks (NULL: all on one). Each names its own host, so that messages can be told apart. A send is
 * complete when it has been received: nothing is buffered, so that what would hang or race over a
 * network does so here. `delay_seed` (0: none) holds messages back for a random number of looks,
 * for tests. Errors: sizes that differ at the two ends. Each is destroyed by itself; the last takes
 * what they share with it. */
status transport_memory_create(
    struct transport **transports, int ranks, const int *node_ranks, uint64_t delay_seed);

#endif
