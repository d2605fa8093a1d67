#include "base/memory.h"
#include "trainer/bench.h"

#include <mpi.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

struct step_bench_options {
    struct bench_model_options model;
    int64_t steps;
    bool cpu_time;
};

static const struct option options_table[] = {BENCH_MODEL_OPTIONS(struct step_bench_options, model),
    {"steps", OPTION_INTEGER, offsetof(struct step_bench_options, steps), .initial = "5", .low = 1,
        .high = 9999, .help = "steps that are measured, after one that is not; the median counts"},
    BENCH_CPU_TIME_OPTION(struct step_bench_options, cpu_time), OPTIONS_END};

#define CEILING_MILLISECONDS 20.0

/* Of every step: seconds of the slowest rank; operations a second of all ranks, just before. With
 * the processor's time: seconds of all threads added up, and operations a second of one. */
struct timing {
    double started,
        first; /* seconds from the start of the process to the first step; and its own */
    clockid_t clock;
    double *seconds, *share;
    double ceiling;
};

/* Seconds since this process was started, before MPI and everything else. */
static double seconds_since_start(void) {
    char text[1024] = "";
    FILE *file = fopen("/proc/self/stat", "r");
    if (file == NULL) {
        return 0.0;
    }
    size_t length = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[length] = '\0';
    char *field = strrchr(text, ')'); /* the name before it may hold anything */
    for (int i = 2; i < 22 && field != NULL; i++) {
        field = strchr(field + 1, ' ');
    }
    if (field == NULL) {
        return 0.0;
    }
    double ticks = strtod(field, NULL);
    return bench_clock(CLOCK_BOOTTIME) - ticks / (double)sysconf(_SC_CLK_TCK);
}

static double over_ranks(double mine, MPI_Op operation) {
    double all;
    MPI_Allreduce(&mine, &all, 1, MPI_DOUBLE, operation, MPI_COMM_WORLD);
    return all;
}

static status run_step(double *seconds, struct bench_setup *setup, clockid_t clock) {
    MPI_Barrier(MPI_COMM_WORLD);
    double start = bench_clock(clock);
    TRY(bench_setup_step(setup));
    double mine = bench_clock(clock) - start;
    *seconds = over_ranks(mine, clock == CLOCK_MONOTONIC ? MPI_MAX : MPI_SUM);
    return STATUS_OK;
}

static double measure_ceiling(
    const struct bench_machine *machine, const struct bench_setup *setup) {
    MPI_Barrier(MPI_COMM_WORLD);
    double mine = bench_machine_products(machine, setup->threads, CEILING_MILLISECONDS);
    double sum = over_ranks(mine, MPI_SUM);
    return machine->clock == CLOCK_MONOTONIC ? sum : sum / setup->job->ranks;
}

static status run_steps(struct timing *timing, struct bench_setup *setup, int steps) {
    struct bench_machine machine;
    double operations =
        2.0 * (double)bench_setup_multiply_adds(setup) * (double)setup->recipe.train.batch;
    double warm, *ceiling;
    TRY(MEMORY_ALLOCATE(&ceiling, (size_t)steps));
    timing->started = over_ranks(seconds_since_start(), MPI_MAX);
    status result = STATUS_OK;
    TRY_TO(done, result, run_step(&timing->first, setup, CLOCK_MONOTONIC));
    TRY_TO(done, result, bench_machine_init(&machine, setup->threads, timing->clock, false));
    TRY_TO(done, result, run_step(&warm, setup, timing->clock));
    for (int s = 0; s < steps; s++) {
        ceiling[s] = measure_ceiling(&machine, setup);
        TRY_TO(done, result, run_step(&timing->seconds[s], setup, timing->clock));
        timing->share[s] = operations / timing->seconds[s] / ceiling[s];
    }
    timing->ceiling = bench_median(ceiling, steps);
done:
    free(ceiling);
    return result;
}

/* Kilobytes that this rank has used at most. */
static double peak_memory(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)usage.ru_maxrss;
}

static json_t *step_json(const struct bench_setup *setup, struct timing *timing, int steps) {
    const double batch = (double)setup->recipe.train.batch;
    const double multiply_adds = (double)bench_setup_multiply_adds(setup);
    double median = bench_median(timing->seconds, steps);
    double waiting = over_ranks(step_get_times(setup->step).waiting, MPI_MAX);
    double memory = over_ranks(peak_memory(), MPI_MAX), all = over_ranks(peak_memory(), MPI_SUM);
    json_t *report = bench_report(setup->job, "step", setup->threads);
    double share = bench_median(timing->share, steps);
    json_t *figures = json_pack("{s:I, s:I, s:i, s:f, s:[f, f, f], s:f, s:f, s:f, s:[f, f, f], s:f,"
                                " s:f, s:f, s:f, s:f}",
        "batch", (json_int_t)setup->recipe.train.batch, "leaf",
        (json_int_t)setup->recipe.train.leaf, "steps", steps, "pictures_per_second", batch / median,
        "step_seconds", timing->seconds[steps / 4], median, timing->seconds[steps - 1 - steps / 4],
        "multiply_adds_a_picture", multiply_adds, "gflops", 2e-9 * multiply_adds * batch / median,
        "ceiling_gflops", 1e-9 * timing->ceiling, "share", timing->share[steps / 4], share,
        timing->share[steps - 1 - steps / 4], "waiting_seconds_a_step",
        waiting / (double)setup->steps_run, "start_to_first_step_seconds", timing->started,
        "first_step_seconds", timing->first, "peak_memory_mib", memory / 1024.0,
        "peak_memory_all_ranks_mib", all / 1024.0);
    json_object_update(report, figures);
    json_decref(figures);
    return report;
}

static double number(const json_t *report, const char *key) {
    return json_number_value(json_object_get(report, key));
}

static double item(const json_t *report, const char *key, size_t index) {
    return json_number_value(json_array_get(json_object_get(report, key), index));
}

static void print_text(const json_t *report) {
    bench_print_head(report);
    printf("batch %.0f in leaves of %.0f, %.0f steps\n", number(report, "batch"),
        number(report, "leaf"), number(report, "steps"));
    printf("%-22s %.2f a second\n", "pictures", number(report, "pictures_per_second"));
    printf("%-22s %.4f s (middle half %.4f to %.4f), waiting for others %.4f s\n", "step",
        item(report, "step_seconds", 1), item(report, "step_seconds", 0),
        item(report, "step_seconds", 2), number(report, "waiting_seconds_a_step"));
    printf("%-22s %.1f GFLOP/s, %.1f %% of the ceiling (middle half %.1f to %.1f), which is %.1f\n",
        "products", number(report, "gflops"), 100 * item(report, "share", 1),
        100 * item(report, "share", 0), 100 * item(report, "share", 2),
        number(report, "ceiling_gflops"));
    printf("%-22s %.2f s, and the step itself %.2f s\n", "start to first step",
        number(report, "start_to_first_step_seconds"), number(report, "first_step_seconds"));
    printf("%-22s %.0f MiB a rank, %.0f MiB in all\n", "peak memory",
        number(report, "peak_memory_mib"), number(report, "peak_memory_all_ranks_mib"));
}

static status run(const struct job *job, const struct command_line *line) {
    const struct bench_options *all = line->options;
    const struct step_bench_options *options = line->kind_options;
    const int steps = (int)options->steps;
    struct bench_setup setup;
    struct timing timing = {.clock = bench_clock_of(options->cpu_time)};
    TRY(bench_setup_init(&setup, job, line, &options->model));
    status result = STATUS_OK;
    TRY_TO(done, result, MEMORY_ALLOCATE(&timing.seconds, (size_t)steps));
    TRY_TO(done, result, MEMORY_ALLOCATE(&timing.share, (size_t)steps));
    TRY_TO(done, result, run_steps(&timing, &setup, steps));
    json_t *report = step_json(&setup, &timing, steps);
    if (job->rank == 0 && !all->json) {
        print_text(report);
    } else if (job->rank == 0) {
        bench_print_json(json_incref(report));
    }
    json_decref(report);
done:
    free(timing.seconds);
    free(timing.share);
    bench_setup_release(&setup);
    return result;
}

const struct bench_operations bench_step = {
    .kind = {.name = "step",
        .help = "a whole training step of a network: forward, backward, exchange, update",
        .options = options_table,
        .options_size = sizeof(struct step_bench_options)},
    .run = run,
};
