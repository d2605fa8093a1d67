/* What the processor and the system offer to this process. */
#ifndef BASE_CPU_H
#define BASE_CPU_H

#include "base/status.h"

#include <stdbool.h>

/* Instruction sets for which kernels exist, in rising order of preference, and how many. */
enum cpu_isa { CPU_ISA_PORTABLE, CPU_ISA_AVX2, CPU_ISA_AVX512, CPU_ISA_COUNT };

/* "portable", "avx2", "avx512". */
const char *cpu_isa_name(enum cpu_isa isa);

/* Whether processor and system can run `isa` (AVX2 means AVX2 and FMA; AVX512 means F, VL, DQ and
 * BW; both need the system to save the registers). */
bool cpu_has(enum cpu_isa isa);

/* The first set from number `first` on that this machine can run; CPU_ISA_COUNT where none is. */
enum cpu_isa cpu_isa_from(int first);

/* A loop over all sets that this machine can run, portable first. Whatever tests kernels goes by
 * it, so that a new set is tested because it exists. */
#define CPU_FOR_EACH_ISA(isa)                                                                      \
    for (enum cpu_isa isa = cpu_isa_from(0); isa < CPU_ISA_COUNT; isa = cpu_isa_from((int)isa + 1))

/* The instruction set to use: the best that the machine has, or what CONVOY_ISA names. Fails with
 * STATUS_USAGE when CONVOY_ISA is unknown or the machine does not have it. */
status cpu_isa_choose(enum cpu_isa *isa);

/* Cores this process may run on (its cpuset, which mpirun's binding narrows), at least 1. */
int cpu_count(void);

/* Pins the calling thread to the n-th core of the cpuset the process started with; `n` wraps.
 * Pinning is a wish: a system that refuses is no error, and false is returned. */
bool cpu_pin(int n);

/* Lets the calling thread run on all of that cpuset again: a thread inherits the pin of the one
 * that starts it. */
bool cpu_unpin(void);

/* The system's number of the n-th core of that cpuset, -1 where there is none. */
int cpu_core(int n);

/* Treats denormals as zero on the calling thread, in and out, where the processor can. Every
 * thread that computes calls this first: a denormal costs a hundred cycles, and the bits must not
 * depend on who computed. */
void cpu_flush_denormals(void);

/* Model name as the system gives it, for logs; static storage. */
const char *cpu_model(void);

#endif
