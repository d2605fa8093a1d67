/* Ranks as threads of one process. */
#ifndef TESTS_EXCHANGE_RANKS_H
#define TESTS_EXCHANGE_RANKS_H

#include "worker/exchange/transport.h"

#define RANKS_LIMIT 64

/* Runs `body` once for each of `ranks` in-process transports, each in a thread of its own, and
 * waits. Returns how many of them returned false, and those that could not be started. */
int ranks_run(int ranks, uint64_t delay_seed,
    bool (*body)(struct transport *transport, void *context), void *context);

#endif
