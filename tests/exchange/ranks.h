/* Ranks as threads of one process. */
#ifndef TESTS_EXCHANGE_RANKS_H
#define TESTS_EXCHANGE_RANKS_H

#include "worker/exchange/transport.h"

#define RANKS_LIMIT 64

/* How ranks lie on nodes: so many on node 0, 1, ... */
struct ranks_nodes {
    int ranks[RANKS_LIMIT];
};

/* Runs `body` once for each of `ranks` in-process transports, each in a thread of its own, and
 * waits. Returns how many of them returned false, and those that could not be started. */
int ranks_run(int ranks, uint64_t delay_seed,
    bool (*body)(struct transport *transport, void *context), void *context);

/* The same with ranks on these nodes. */
int ranks_run_on(const struct ranks_nodes *nodes, int ranks, uint64_t delay_seed,
    bool (*body)(struct transport *transport, void *context), void *context);

/* `ranks` ranks on nodes of 1 to `most`, drawn from a number. */
struct ranks_nodes ranks_draw_nodes(uint64_t number, int ranks, int most);

#endif
