#include "worker/kernels/kernels.h"

#include "worker/kernels/instruction_sets.h"

const struct kernels *kernels_get(enum cpu_isa isa) {
    switch (isa) {
#if defined(__x86_64__)
    case CPU_ISA_AVX512: return &kernels_avx512;
    case CPU_ISA_AVX2: return &kernels_avx2;
#endif
    default: return &kernels_portable;
    }
}
