#include "trainer/bench.h"
#include "worker/tensor.h"

/* Where results go that nobody wants. */
static volatile float sink;

static double products(const struct bench_machine *machine, int threads, long rounds) {
    double start = bench_clock(machine->clock);
#pragma omp parallel num_threads(threads)
    sink = machine->kernels->ceiling.multiply_add(rounds);
    double seconds = bench_clock(machine->clock) - start;
    return 2.0 * CHANNEL_BLOCK * CEILING_PRODUCTS * (double)rounds * threads / seconds;
}

status bench_machine_init(
    struct bench_machine *machine, int threads, clockid_t clock, bool memory) {
    *machine = (struct bench_machine){.threads = threads, .clock = clock};
    enum cpu_isa isa;
    TRY(cpu_isa_choose(&isa));
    machine->kernels = kernels_get(isa);
    if (memory) {
        TRY(arena_init(
            &machine->memory, 2 * BENCH_MEMORY * (size_t)threads * sizeof(float), threads));
    }
    const long trial = 2000;
    double best = 0.0;
    for (int i = 0; i < 5; i++) { /* the first starts threads, any may be disturbed */
        double rate = products(machine, threads, trial) / threads;
        best = rate > best ? rate : best;
    }
    machine->rounds = (long)(1e-3 * best / (2.0 * CHANNEL_BLOCK * CEILING_PRODUCTS)) + 1;
    return STATUS_OK;
}

void bench_machine_release(struct bench_machine *machine) {
    arena_release(&machine->memory);
    *machine = (struct bench_machine){0};
}

double bench_machine_products(
    const struct bench_machine *machine, int threads, double milliseconds) {
    return products(machine, threads, (long)(milliseconds * (double)machine->rounds) + 1);
}

static float *memory_of(const struct bench_machine *machine, int thread) {
    return (float *)machine->memory.base + 2 * BENCH_MEMORY * (size_t)thread;
}

double bench_machine_read(const struct bench_machine *machine, int threads) {
    double start = bench_clock(machine->clock);
#pragma omp parallel for num_threads(threads) schedule(static, 1)
    for (int t = 0; t < threads; t++) {
        sink = machine->kernels->ceiling.read(memory_of(machine, t), BENCH_MEMORY);
    }
    double seconds = bench_clock(machine->clock) - start;
    return (double)(BENCH_MEMORY * sizeof(float)) * threads / seconds;
}

double bench_machine_copy(const struct bench_machine *machine, int threads) {
    double start = bench_clock(machine->clock);
#pragma omp parallel for num_threads(threads) schedule(static, 1)
    for (int t = 0; t < threads; t++) {
        float *in = memory_of(machine, t);
        machine->kernels->ceiling.copy(in + BENCH_MEMORY, in, BENCH_MEMORY);
    }
    double seconds = bench_clock(machine->clock) - start;
    return 2.0 * (double)(BENCH_MEMORY * sizeof(float)) * threads / seconds;
}
