#include "trainer/bench.h"

#include <mpi.h>

struct ceiling_options {
    int64_t rounds;
    bool cpu_time;
};

static const struct option options_table[] = {
    {"rounds", OPTION_INTEGER, offsetof(struct ceiling_options, rounds), .initial = "15", .low = 1,
        .high = 999, .help = "how often each is measured, in turn; the median counts"},
    BENCH_CPU_TIME_OPTION(struct ceiling_options, cpu_time), OPTIONS_END};

enum { ALONE, ALL }; /* one thread of rank 0; all threads of all ranks */
enum { PRODUCTS, READ, COPY, MEASURES };
#define ROUNDS_LIMIT 999

static double measure(const struct bench_machine *machine, int what, int threads) {
    switch (what) {
    case PRODUCTS: return bench_machine_products(machine, threads, 10.0);
    case READ: return bench_machine_read(machine, threads);
    default: return bench_machine_copy(machine, threads);
    }
}

/* The sum over all ranks, which measure at the same time. */
static double measure_all(const struct bench_machine *machine, int what) {
    MPI_Barrier(MPI_COMM_WORLD);
    double mine = measure(machine, what, machine->threads), sum;
    MPI_Allreduce(&mine, &sum, 1, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD);
    return sum;
}

static void run_rounds(double medians[2][MEASURES], const struct bench_machine *machine,
    const struct job *job, int rounds) {
    static double values[2][MEASURES][ROUNDS_LIMIT];
    for (int r = -1; r < rounds; r++) { /* the first touches memory and does not count */
        for (int what = 0; what < MEASURES; what++) {
            int at = r < 0 ? 0 : r;
            MPI_Barrier(MPI_COMM_WORLD);
            values[ALONE][what][at] = job->rank == 0 ? measure(machine, what, 1) : 0.0;
            values[ALL][what][at] = measure_all(machine, what);
        }
    }
    for (int who = 0; who < 2; who++) {
        for (int what = 0; what < MEASURES; what++) {
            medians[who][what] = bench_median(values[who][what], rounds);
        }
    }
}

static json_t *rates_json(const double rates[MEASURES]) {
    return json_pack("{s:f, s:f, s:f}", "gflops", 1e-9 * rates[PRODUCTS], "read_gbytes",
        1e-9 * rates[READ], "copy_gbytes", 1e-9 * rates[COPY]);
}

static void print_rates(const char *who, const double rates[MEASURES]) {
    printf("%-22s %10.1f %14.1f %22.1f\n", who, 1e-9 * rates[PRODUCTS], 1e-9 * rates[READ],
        1e-9 * rates[COPY]);
}

static status run(const struct job *job, const struct command_line *line) {
    const struct bench_options *all = line->options;
    const struct ceiling_options *options = line->kind_options;
    if (line->count > 0) {
        FAIL(STATUS_USAGE, "bench ceiling takes no argument, and here is '%s'", line->arguments[0]);
    }
    int threads;
    TRY(job_agree(job, job_plan_threads(&threads, job, all->threads, all->oversubscribe)));
    struct bench_machine machine;
    status result = bench_machine_init(&machine, threads, bench_clock_of(options->cpu_time), true);
    TRY_TO(done, result, job_agree(job, result));
    double rates[2][MEASURES];
    run_rounds(rates, &machine, job, (int)options->rounds);
    if (job->rank == 0) {
        json_t *report = bench_report(job, "ceiling", threads);
        if (all->json) {
            json_object_set_new(report, "core", rates_json(rates[ALONE]));
            json_object_set_new(report, "all", rates_json(rates[ALL]));
            bench_print_json(report);
        } else {
            bench_print_head(report);
            json_decref(report);
            printf("%-22s %10s %14s %22s\n", "", "GFLOP/s", "read GB/s", "copied (both) GB/s");
            print_rates("one core", rates[ALONE]);
            print_rates("all ranks and threads", rates[ALL]);
        }
    }
done:
    bench_machine_release(&machine);
    return result;
}

const struct bench_operations bench_ceiling = {
    .kind = {.name = "ceiling",
        .help = "fused multiply-adds and memory, of one core and of all",
        .options = options_table,
        .options_size = sizeof(struct ceiling_options)},
    .run = run,
};
