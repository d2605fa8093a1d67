#include "base/memory.h"
#include "trainer/bench.h"
#include "worker/exchange/exchange.h"

#include <mpi.h>
#include <stdlib.h>
#include <string.h>

struct exchange_bench_options {
    int64_t bytes, bucket, small, rounds;
    bool cpu_time;
};

_Static_assert(EXCHANGE_SMALL_BUCKET * sizeof(float) == 32 << 10, "the default of --small");

static const struct option options_table[] = {
    {"bytes", OPTION_BYTES, offsetof(struct exchange_bench_options, bytes), .initial = "100000000",
        .low = 4, .high = 1e11, .help = "of the gradients"},
    {"bucket", OPTION_BYTES, offsetof(struct exchange_bench_options, bucket), .initial = "4 MiB",
        .low = 64, .high = 1e9, .help = "gradient bytes that are exchanged together"},
    {"small", OPTION_BYTES, offsetof(struct exchange_bench_options, small), .initial = "32 KiB",
        .low = 0, .high = 1e9,
        .help = "buckets up to so many bytes go between hosts whole, in half as many rounds; twice "
                "as many between up to 4"},
    {"rounds", OPTION_INTEGER, offsetof(struct exchange_bench_options, rounds), .initial = "11",
        .low = 1, .high = 9999,
        .help = "exchanges that are measured, after one that is not; medians count"},
    BENCH_CPU_TIME_OPTION(struct exchange_bench_options, cpu_time), OPTIONS_END};

/* Who is measured, in turn. */
enum { OURS, ALLREDUCE, IALLREDUCE, WAYS };
static const char *const way_names[] = {"ours", "MPI_Allreduce", "MPI_Iallreduce"};

struct exchange_bench {
    const struct job *job;
    const struct exchange_bench_options *options;
    struct bench_machine machine;
    struct exchange *exchange;
    struct arena momentum;
    float *sum; /* of MPI's own */
    size_t count;
    int leaves;
    double *seconds[WAYS], *memory; /* [rounds] */
};

static double over_ranks(double mine, MPI_Op operation) {
    double all;
    MPI_Allreduce(&mine, &all, 1, MPI_DOUBLE, operation, MPI_COMM_WORLD);
    return all;
}

/* Descent with momentum, as sgd does it. */
static void descend(void *context, float *weights, const float *sum, size_t from, size_t count) {
    const struct exchange_bench *bench = context;
    const struct elementwise_descent descent = {.inverse_pictures = 1.0f / (float)bench->leaves,
        .rate = 0.01f,
        .momentum = 0.9f,
        .weight_decay = 1e-4f};
    bench->machine.kernels->elementwise.descend(
        weights, (float *)(void *)bench->momentum.base + from, sum, count, &descent);
}

static status run_way(const struct exchange_bench *bench, int way) {
    const struct exchange_maker maker = {.make = descend, .context = (void *)bench};
    MPI_Request request;
    switch (way) {
    case OURS:
        TRY(exchange_begin(bench->exchange, bench->leaves, &maker));
        TRY(exchange_ready(bench->exchange, 0, bench->count));
        return exchange_finish(bench->exchange);
    case ALLREDUCE:
        MPI_Allreduce(exchange_vector(bench->exchange, 0), bench->sum, (int)bench->count, MPI_FLOAT,
            MPI_SUM, MPI_COMM_WORLD);
        return STATUS_OK;
    default:
        MPI_Iallreduce(exchange_vector(bench->exchange, 0), bench->sum, (int)bench->count,
            MPI_FLOAT, MPI_SUM, MPI_COMM_WORLD, &request);
        MPI_Wait(&request, MPI_STATUS_IGNORE);
        return STATUS_OK;
    }
}

/* Seconds of the slowest rank, or with the processor's time those of a rank on average. */
static status time_way(double *seconds, const struct exchange_bench *bench, int way) {
    clockid_t clock = bench->machine.clock;
    bool wall = clock == CLOCK_MONOTONIC;
    float *vector = exchange_vector(bench->exchange, 0);
    for (size_t i = 0; i < bench->count; i++) { /* the last one may have left sums in it */
        vector[i] = (float)(i % 1000) * 1e-3f;
    }
    MPI_Barrier(MPI_COMM_WORLD);
    double start = bench_clock(clock);
    TRY(run_way(bench, way));
    double mine = bench_clock(clock) - start;
    *seconds = over_ranks(mine, wall ? MPI_MAX : MPI_SUM) / (wall ? 1 : bench->job->ranks);
    return STATUS_OK;
}

static status measure(struct exchange_bench *bench, int rounds) {
    const int nodes = exchange_get_map(bench->exchange).nodes;
    for (int r = -1; r < rounds; r++) {
        for (int way = 0; way < WAYS; way++) {
            double seconds = 0;
            TRY(time_way(&seconds, bench, way));
            if (r >= 0) {
                bench->seconds[way][r] = seconds;
            }
        }
        if (nodes == 1 && r >= 0) {
            MPI_Barrier(MPI_COMM_WORLD);
            double rate = bench_machine_copy(&bench->machine, bench->machine.threads);
            bench->memory[r] = over_ranks(rate, MPI_SUM);
        }
    }
    return STATUS_OK;
}

/* Every rank's gradient is read once; weights and momentum are read and written once. */
static double least_bytes(const struct exchange_bench *bench) {
    int ranks = bench->job->ranks;
    return (double)(ranks + 4) * (double)bench->count * sizeof(float);
}

static json_t *make_report(struct exchange_bench *bench, int rounds) {
    json_t *report = bench_report(bench->job, "exchange", bench->machine.threads);
    const int nodes = exchange_get_map(bench->exchange).nodes;
    double ours = bench_median(bench->seconds[OURS], rounds);
    json_object_set_new(report, "bytes", json_integer((json_int_t)(bench->count * sizeof(float))));
    json_object_set_new(report, "nodes", json_integer(nodes));
    for (int way = 0; way < WAYS; way++) {
        double *seconds = bench->seconds[way];
        double median = bench_median(seconds, rounds);
        json_object_set_new(report, way_names[way],
            json_pack("{s:[f, f, f], s:f, s:f}", "seconds", seconds[rounds / 4], median,
                seconds[rounds - 1 - rounds / 4], "least", seconds[0], "over_ours", median / ours));
    }
    if (nodes == 1) {
        double memory = bench_median(bench->memory, rounds), limit = least_bytes(bench) / memory;
        json_object_set_new(report, "memory_bytes_per_second", json_real(memory));
        json_object_set_new(report, "memory_seconds", json_real(limit));
        json_object_set_new(report, "share", json_real(limit / ours));
    }
    return report;
}

static void print_text(const json_t *report) {
    bench_print_head(report);
    printf("%lld bytes, %lld nodes\n",
        (long long)json_integer_value(json_object_get(report, "bytes")),
        (long long)json_integer_value(json_object_get(report, "nodes")));
    for (int way = 0; way < WAYS; way++) {
        const json_t *figures = json_object_get(report, way_names[way]);
        const json_t *seconds = json_object_get(figures, "seconds");
        printf("%-22s %.6f s (middle half %.6f to %.6f), %.2f times ours%s\n", way_names[way],
            json_number_value(json_array_get(seconds, 1)),
            json_number_value(json_array_get(seconds, 0)),
            json_number_value(json_array_get(seconds, 2)),
            json_number_value(json_object_get(figures, "over_ours")),
            way == OURS ? ", the update of the weights included" : "");
    }
    if (json_object_get(report, "share") != NULL) {
        printf("%-22s %.6f s: ours is at %.1f %% of what memory allows\n", "memory's limit",
            json_number_value(json_object_get(report, "memory_seconds")),
            100 * json_number_value(json_object_get(report, "share")));
    }
}

static status open_bench(struct exchange_bench *bench) {
    const struct exchange_bench_options *options = bench->options;
    bench->count = (size_t)options->bytes / sizeof(float);
    if (bench->count > INT32_MAX) {
        FAIL(STATUS_USAGE, "--bytes %lld: MPI_Allreduce counts to %d floats",
            (long long)options->bytes, INT32_MAX);
    }
    for (bench->leaves = 1; bench->leaves < bench->job->ranks;) {
        bench->leaves *= 2;
    }
    TRY(MEMORY_ALLOCATE(&bench->sum, bench->count));
    TRY(arena_reserve(&bench->momentum, bench->count * sizeof(float)));
    TRY(MEMORY_ALLOCATE(&bench->memory, (size_t)options->rounds));
    for (int way = 0; way < WAYS; way++) {
        TRY(MEMORY_ALLOCATE(&bench->seconds[way], (size_t)options->rounds));
    }
    return STATUS_OK;
}

static status open_exchange(struct exchange_bench *bench) {
    const struct exchange_options plan = {
        .leaves = bench->leaves,
        .vector_size = bench->count,
        .bucket_size = (size_t)bench->options->bucket / sizeof(float),
        .small_bucket = (size_t)bench->options->small / sizeof(float),
        .grain = 16,
        .threads = bench->machine.threads,
    };
    TRY(exchange_create(&bench->exchange, bench->job->transport, &plan));
    for (size_t i = 0; i < exchange_pieces(bench->exchange); i++) {
        size_t from, to;
        exchange_piece(&from, &to, bench->exchange, i);
        arena_touch(&bench->momentum, from * sizeof(float), to * sizeof(float));
    }
    return STATUS_OK;
}

static void close_bench(struct exchange_bench *bench) {
    exchange_destroy(bench->exchange);
    bench_machine_release(&bench->machine);
    arena_release(&bench->momentum);
    free(bench->sum);
    free(bench->memory);
    for (int way = 0; way < WAYS; way++) {
        free(bench->seconds[way]);
    }
}

static status run(const struct job *job, const struct command_line *line) {
    const struct bench_options *all = line->options;
    struct exchange_bench bench = {.job = job, .options = line->kind_options};
    const int rounds = (int)bench.options->rounds;
    clockid_t clock = bench_clock_of(bench.options->cpu_time);
    int threads;
    if (line->count > 0) {
        FAIL(
            STATUS_USAGE, "bench exchange takes no argument, and here is '%s'", line->arguments[0]);
    }
    TRY(job_agree(job, job_plan_threads(&threads, job, all->threads, all->oversubscribe)));
    status result;
    TRY_TO(done, result, job_agree(job, bench_machine_init(&bench.machine, threads, clock, true)));
    TRY_TO(done, result, job_agree(job, open_bench(&bench)));
    TRY_TO(done, result, job_agree(job, open_exchange(&bench)));
    TRY_TO(done, result, measure(&bench, rounds));
    json_t *report = make_report(&bench, rounds);
    if (job->rank == 0 && !all->json) {
        print_text(report);
    } else if (job->rank == 0) {
        bench_print_json(json_incref(report));
    }
    json_decref(report);
done:
    close_bench(&bench);
    return result;
}

const struct bench_operations bench_exchange = {
    .kind = {.name = "exchange",
        .help = "the sum of gradients over all ranks and the update, beside MPI_Allreduce",
        .options = options_table,
        .options_size = sizeof(struct exchange_bench_options)},
    .run = run,
};
