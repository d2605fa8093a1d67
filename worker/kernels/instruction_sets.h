/* The table of each instruction set, for kernels_get and the files that define them. */
#ifndef WORKER_KERNELS_INSTRUCTION_SETS_H
#define WORKER_KERNELS_INSTRUCTION_SETS_H

#include "worker/kernels/kernels.h"

#if defined(__x86_64__)
extern const struct kernels kernels_avx512;
extern const struct kernels kernels_avx2;
#endif
extern const struct kernels kernels_portable;

#endif
