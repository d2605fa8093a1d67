/* How fast this processor can multiply and add: the denominator of every share in bench/. */
#ifndef BENCH_CEILING_H
#define BENCH_CEILING_H

#include "base/cpu.h"

/* Does `rounds` times 24 independent fused multiply-adds of the widest vectors of `isa` on the
 * calling thread, and returns how many floating-point operations that were (two for each lane). */
double ceiling_run(enum cpu_isa isa, long rounds);

#endif
