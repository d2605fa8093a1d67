#include "base/cpu.h"

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

#define CORES_LIMIT 8192

static const char *const isa_names[CPU_ISA_COUNT] = {
    [CPU_ISA_PORTABLE] = "portable", [CPU_ISA_AVX2] = "avx2", [CPU_ISA_AVX512] = "avx512"};

const char *cpu_isa_name(enum cpu_isa isa) {
    return isa_names[isa];
}

bool cpu_has(enum cpu_isa isa) {
#if defined(__x86_64__)
    /* The compiler's own check asks the system too whether it saves the registers (XGETBV). */
    __builtin_cpu_init();
    switch (isa) {
    case CPU_ISA_PORTABLE: return true;
    case CPU_ISA_AVX2: return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    case CPU_ISA_AVX512:
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
               __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
               __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    case CPU_ISA_COUNT: return false;
    }
    return false;
#else
    return isa == CPU_ISA_PORTABLE;
#endif
}

enum cpu_isa cpu_isa_from(int first) {
    int isa = first;
    while (isa < CPU_ISA_COUNT && !cpu_has((enum cpu_isa)isa)) {
        isa++;
    }
    return (enum cpu_isa)isa;
}

static void list_names(char *text, size_t size) {
    size_t length = 0;
    for (int i = 0; i < CPU_ISA_COUNT && length < size; i++) {
        length +=
            (size_t)snprintf(text + length, size - length, "%s%s", i > 0 ? ", " : "", isa_names[i]);
    }
}

status cpu_isa_choose(enum cpu_isa *isa) {
    const char *wish = getenv("CONVOY_ISA");
    for (int i = CPU_ISA_COUNT - 1; i >= 0; i--) {
        if (wish == NULL || *wish == '\0') {
            if (cpu_has((enum cpu_isa)i)) {
                *isa = (enum cpu_isa)i;
                return STATUS_OK;
            }
        } else if (strcmp(wish, isa_names[i]) == 0) {
            if (!cpu_has((enum cpu_isa)i)) {
                FAIL(STATUS_USAGE, "CONVOY_ISA=%s: this processor does not have it", wish);
            }
            *isa = (enum cpu_isa)i;
            return STATUS_OK;
        }
    }
    char known[128];
    list_names(known, sizeof known);
    FAIL(STATUS_USAGE, "CONVOY_ISA=%s: unknown; known: %s", wish, known);
}

/* The cores the process started with: read once, before anything is pinned. */
static pthread_once_t cores_once = PTHREAD_ONCE_INIT;
static int cores[CORES_LIMIT];
static int core_count;

static void read_cores(void) {
    size_t size = CPU_ALLOC_SIZE(CORES_LIMIT);
    cpu_set_t *set = CPU_ALLOC(CORES_LIMIT);
    if (set != NULL && sched_getaffinity(getpid(), size, set) == 0) {
        for (int i = 0; i < CORES_LIMIT; i++) {
            if (CPU_ISSET_S(i, size, set)) {
                cores[core_count++] = i;
            }
        }
    }
    if (set != NULL) {
        CPU_FREE(set);
    }
}

int cpu_count(void) {
    pthread_once(&cores_once, read_cores);
    return core_count > 0 ? core_count : 1;
}

/* Binds the calling thread to the cores [first, first + count) of the cpuset. */
static bool bind(int first, int count) {
    size_t size = CPU_ALLOC_SIZE(CORES_LIMIT);
    cpu_set_t *set = CPU_ALLOC(CORES_LIMIT);
    if (set == NULL) {
        return false;
    }
    CPU_ZERO_S(size, set);
    for (int i = first; i < first + count; i++) {
        CPU_SET_S(cores[i], size, set);
    }
    bool bound = sched_setaffinity(0, size, set) == 0;
    CPU_FREE(set);
    return bound;
}

bool cpu_pin(int n) {
    pthread_once(&cores_once, read_cores);
    return core_count > 0 && n >= 0 && bind(n % core_count, 1);
}

bool cpu_unpin(void) {
    pthread_once(&cores_once, read_cores);
    return core_count > 0 && bind(0, core_count);
}

int cpu_core(int n) {
    pthread_once(&cores_once, read_cores);
    return n >= 0 && n < core_count ? cores[n] : -1;
}

void cpu_flush_denormals(void) {
#if defined(__x86_64__)
    _mm_setcsr(_mm_getcsr() | 0x8040u); /* flush to zero, denormals are zero */
#elif defined(__aarch64__)
    unsigned long control;
    __asm__ volatile("mrs %0, fpcr" : "=r"(control));
    __asm__ volatile("msr fpcr, %0" : : "r"(control | 1ul << 24));
#endif
}

static pthread_once_t model_once = PTHREAD_ONCE_INIT;
static char model[128] = "unknown processor";

static void read_model(void) {
    FILE *file = fopen("/proc/cpuinfo", "re");
    if (file == NULL) {
        return;
    }
    char line[256];
    while (fgets(line, sizeof line, file) != NULL) {
        const char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) == 0 && colon != NULL) {
            line[strcspn(line, "\n")] = '\0';
            colon += strspn(colon, ": \t");
            snprintf(model, sizeof model, "%s", colon);
            break;
        }
    }
    fclose(file);
}

const char *cpu_model(void) {
    pthread_once(&model_once, read_model);
    return model;
}
