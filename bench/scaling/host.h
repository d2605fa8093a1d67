/* What a rank of replay.c stands on: a real host (host_real.c), or one that SimGrid plays
 * (host_simulated.c). */
#ifndef BENCH_SCALING_HOST_H
#define BENCH_SCALING_HOST_H

#include "worker/exchange/exchange.h"

/* [all] After MPI_Init. */
status host_transport_create(struct transport **transport);

/* Computes for so many seconds. Meanwhile `exchange` moves on as if a thread of its own saw to it;
 * NULL: it stands still. */
status host_compute(struct transport *transport, double seconds, struct exchange *exchange);

/* Who moves the exchange on is busy for so many seconds; if that is in the middle of computing, the
 * computing takes so much longer, for it has all cores. */
void host_spend(double seconds);

/* Ends the whole job with exit code `code`, after an error. */
_Noreturn void host_end(int code);

#endif
