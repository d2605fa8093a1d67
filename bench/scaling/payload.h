/* The vectors of simulated ranks: real (payload_real.c), or none (payload_none.c), since those of a
 * thousand ranks fit into no machine. */
#ifndef BENCH_SCALING_PAYLOAD_H
#define BENCH_SCALING_PAYLOAD_H

#include <stddef.h>

/* What is sent, or received, in place of `bytes`. */
void *payload_of(const void *bytes, size_t size);

/* Passes over memory that are not done take 1 / speed of their time. */
void payload_set_speed(double speed);

#endif
