#include "base/memory.h"
#include "trainer/bench.h"
#include "worker/kernels/convolution.h"

#include <stdlib.h>
#include <string.h>

struct layers_options {
    struct bench_model_options model;
    int64_t rounds;
    bool cpu_time;
};

static const struct option options_table[] = {BENCH_MODEL_OPTIONS(struct layers_options, model),
    {"rounds", OPTION_INTEGER, offsetof(struct layers_options, rounds), .initial = "5", .low = 1,
        .high = 999, .help = "steps that are measured, after one that is not; medians count"},
    BENCH_CPU_TIME_OPTION(struct layers_options, cpu_time), OPTIONS_END};

/* What is timed: three parts of each layer, and then what belongs to no layer. */
enum { FORWARD, WEIGHTS, BACKWARD, PARTS };
enum { INPUT, LOSS, UPDATE, OTHERS }; /* the exchange is in the update, one pass over memory */
static const char *const part_names[] = {"forward", "backward-weights", "backward"};
static const char *const other_names[] = {"input", "loss", "update"};

/* Between two looks at the ceiling, and what each takes: long enough that waking threads up does
 * not show (looks of a nominal 1 ms once gave a quarter of the rate). */
#define CEILING_EVERY        20e-3 /* seconds of layers */
#define CEILING_MILLISECONDS 4.0
#define CEILINGS_LIMIT       1000

struct watch_state {
    struct bench_machine machine;
    double mark;
    double *seconds; /* [rows] of the present round */
    int layers;
    double since_ceiling;
    double ceiling[CEILINGS_LIMIT]; /* of the present round; their median counts */
    int ceilings;
};

/* A row of the table: work and, over the rounds, seconds and shares. */
struct row {
    const char *name, *kind, *part, *kernel;
    double operations, bytes;                             /* of a step of this rank */
    double *seconds;                                      /* [rounds] */
    double time, step_share, product_share, memory_share; /* medians */
};

struct table {
    int rows, rounds;
    struct row *row;
    double *seconds;          /* [rows][rounds] */
    double *ceiling, *memory; /* [rounds]: operations, bytes a second */
};

static void look_at_ceiling(struct watch_state *watch) {
    watch->since_ceiling = 0.0;
    if (watch->ceilings < CEILINGS_LIMIT) {
        watch->ceiling[watch->ceilings++] =
            bench_machine_products(&watch->machine, watch->machine.threads, CEILING_MILLISECONDS);
    }
}

static void note(struct watch_state *watch, int row) {
    double elapsed = bench_clock(watch->machine.clock) - watch->mark;
    watch->seconds[row] += elapsed;
    watch->since_ceiling += elapsed;
    if (watch->since_ceiling > CEILING_EVERY) {
        look_at_ceiling(watch);
    }
    watch->mark = bench_clock(watch->machine.clock);
}

static void part_done(void *context, int layer, enum net_part part) {
    struct watch_state *watch = context;
    const int other = PARTS * watch->layers;
    switch (part) {
    case NET_PART_INPUT: note(watch, other + INPUT); break;
    case NET_PART_FORWARD: note(watch, PARTS * layer + FORWARD); break;
    case NET_PART_LOSS: note(watch, other + LOSS); break;
    case NET_PART_WEIGHTS: note(watch, PARTS * layer + WEIGHTS); break;
    case NET_PART_BACKWARD: note(watch, PARTS * layer + BACKWARD); break;
    case NET_PART_HOOKS: note(watch, other + UPDATE); break;
    }
}

static status run_round(struct watch_state *watch, struct bench_setup *setup) {
    watch->ceilings = 0;
    look_at_ceiling(watch);
    watch->mark = bench_clock(watch->machine.clock);
    TRY(bench_setup_step(setup));
    note(watch, PARTS * watch->layers + UPDATE);
    return STATUS_OK;
}

static void describe_layer(
    struct row rows[PARTS], const struct layer_report *report, double pictures) {
    static const enum convolution_direction directions[PARTS] = {
        [FORWARD] = CONVOLUTION_FORWARD,
        [WEIGHTS] = CONVOLUTION_BACKWARD_WEIGHTS,
        [BACKWARD] = CONVOLUTION_BACKWARD_DATA,
    };
    for (int p = 0; p < PARTS; p++) {
        rows[p].name = report->name;
        rows[p].kind = report->kind;
        rows[p].part = part_names[p];
        rows[p].kernel = report->kernels != NULL ? report->kernels->text[directions[p]] : "";
    }
    double operations = 2.0 * (double)report->multiply_adds * pictures;
    double forward = (double)report->forward_bytes * pictures;
    bool products = report->multiply_adds > 0;
    rows[FORWARD].operations = operations;
    rows[FORWARD].bytes = forward;
    rows[WEIGHTS].operations = operations;
    rows[WEIGHTS].bytes = products ? forward : 0.0;
    rows[BACKWARD].operations = report->input_gradient ? operations : 0.0;
    rows[BACKWARD].bytes = !products                ? (double)report->backward_bytes * pictures
                           : report->input_gradient ? forward
                                                    : 0.0;
}

static void describe_rows(struct table *table, const struct bench_setup *setup) {
    const int count = net_layer_count(setup->net);
    for (int i = 0; i < count; i++) {
        const struct layer_report report = net_layer_report(setup->net, i);
        describe_layer(&table->row[PARTS * i], &report, (double)setup->pictures);
    }
    for (int o = 0; o < OTHERS; o++) {
        table->row[PARTS * count + o] =
            (struct row){.name = other_names[o], .kind = "", .part = "", .kernel = ""};
    }
    /* Weights and every vector of the optimizer are read and written, the gradient is read. */
    table->row[PARTS * count + UPDATE].bytes =
        (double)(3 + 2 * optimizer_vector_count(setup->optimizer)) *
        (double)net_vector_size(setup->net) * sizeof(float);
    for (int i = 0; i < table->rows; i++) {
        table->row[i].seconds = table->seconds + (size_t)i * (size_t)table->rounds;
    }
}

static void take_medians(struct table *table) {
    double total = 0.0, *values = table->seconds + (size_t)table->rows * (size_t)table->rounds;
    for (int i = 0; i < table->rows; i++) {
        struct row *row = &table->row[i];
        for (int r = 0; r < table->rounds; r++) {
            values[r] = row->operations / row->seconds[r] / table->ceiling[r];
        }
        row->product_share = row->operations > 0 ? bench_median(values, table->rounds) : 0.0;
        for (int r = 0; r < table->rounds; r++) {
            values[r] = row->bytes / row->seconds[r] / table->memory[r];
        }
        row->memory_share = row->bytes > 0 ? bench_median(values, table->rounds) : 0.0;
        memcpy(values, row->seconds, (size_t)table->rounds * sizeof *values);
        row->time = bench_median(values, table->rounds);
        total += row->time;
    }
    for (int i = 0; i < table->rows; i++) {
        table->row[i].step_share = table->row[i].time / total;
    }
}

static status measure(struct table *table, struct bench_setup *setup, clockid_t clock) {
    struct watch_state watch = {.layers = net_layer_count(setup->net)};
    const struct net_watch hook = {.done = part_done, .context = &watch};
    status result = STATUS_OK;
    TRY(MEMORY_ALLOCATE(&watch.seconds, (size_t)table->rows));
    TRY_TO(done, result, bench_machine_init(&watch.machine, setup->threads, clock, true));
    net_set_watch(setup->net, &hook);
    for (int r = -1; r < table->rounds; r++) { /* the first does not count */
        memset(watch.seconds, 0, (size_t)table->rows * sizeof *watch.seconds);
        TRY_TO(done, result, run_round(&watch, setup));
        double memory = bench_machine_copy(&watch.machine, setup->threads);
        for (int i = 0; i < table->rows && r >= 0; i++) {
            table->row[i].seconds[r] = watch.seconds[i];
        }
        if (r >= 0) {
            table->ceiling[r] = bench_median(watch.ceiling, watch.ceilings);
            table->memory[r] = memory;
        }
    }
done:
    net_set_watch(setup->net, NULL);
    bench_machine_release(&watch.machine);
    free(watch.seconds);
    return result;
}

/* ---- the report ---- */

static bool worth_showing(const struct row *row) {
    return row->operations > 0 || row->bytes > 0 || row->part[0] == '\0';
}

static json_t *row_json(const struct row *row) {
    return json_pack("{s:s, s:s, s:s, s:s, s:f, s:f, s:f, s:f, s:f, s:f}", "name", row->name,
        "kind", row->kind, "part", row->part, "kernel", row->kernel, "seconds", row->time,
        "share_of_step", row->step_share, "gflops", 1e-9 * row->operations / row->time,
        "share_of_ceiling", row->product_share, "gbytes", 1e-9 * row->bytes / row->time,
        "share_of_memory", row->memory_share);
}

/* The rows of a kind and part added up. */
static struct row sum_of(const struct table *table, const char *kind, const char *part) {
    struct row sum = {.name = "", .kind = kind, .part = part, .kernel = ""};
    for (int i = 0; i < table->rows; i++) {
        const struct row *row = &table->row[i];
        if (strcmp(row->kind, kind) == 0 && strcmp(row->part, part) == 0) {
            sum.operations += row->operations;
            sum.bytes += row->bytes;
            sum.time += row->time;
            sum.step_share += row->step_share;
            sum.product_share += row->product_share * row->time;
            sum.memory_share += row->memory_share * row->time;
        }
    }
    if (sum.time > 0) {
        sum.product_share /= sum.time;
        sum.memory_share /= sum.time;
    }
    return sum;
}

/* Calls `show` for the sum of each kind and part, in the order in which they first come. */
static void each_sum(
    const struct table *table, void (*show)(void *context, const struct row *row), void *context) {
    for (int i = 0; i < table->rows; i++) {
        const struct row *row = &table->row[i];
        bool first = row->part[0] != '\0';
        for (int j = 0; j < i && first; j++) {
            first = strcmp(table->row[j].kind, row->kind) != 0 ||
                    strcmp(table->row[j].part, row->part) != 0;
        }
        const struct row sum = first ? sum_of(table, row->kind, row->part) : *row;
        if (first && worth_showing(&sum)) {
            show(context, &sum);
        }
    }
}

static void append_row(void *list, const struct row *row) {
    json_array_append_new(list, row_json(row));
}

static json_t *table_json(json_t *report, const struct table *table) {
    json_t *list = json_array(), *sums = json_array();
    for (int i = 0; i < table->rows; i++) {
        if (worth_showing(&table->row[i])) {
            append_row(list, &table->row[i]);
        }
    }
    each_sum(table, append_row, sums);
    json_object_set_new(report, "layers", list);
    json_object_set_new(report, "kinds", sums);
    json_object_set_new(
        report, "ceiling_gflops", json_real(1e-9 * bench_median(table->ceiling, table->rounds)));
    json_object_set_new(
        report, "memory_gbytes", json_real(1e-9 * bench_median(table->memory, table->rounds)));
    return report;
}

static void print_row(void *width, const struct row *row) {
    printf("%-*s  %-10s %-16s %9.3f %6.1f%%", *(const int *)width, row->name, row->kind, row->part,
        1e3 * row->time, 100 * row->step_share);
    if (row->operations > 0) {
        printf(" %8.1f %5.0f%%", 1e-9 * row->operations / row->time, 100 * row->product_share);
    } else {
        printf(" %8s %6s", "", "");
    }
    if (row->bytes > 0) {
        printf(" %7.1f %5.0f%%", 1e-9 * row->bytes / row->time, 100 * row->memory_share);
    } else {
        printf(" %7s %6s", "", "");
    }
    printf("  %s\n", row->kernel);
}

static void print_text(const json_t *report, const struct table *table) {
    int width = (int)strlen("layer");
    for (int i = 0; i < table->rows; i++) {
        int length = (int)strlen(table->row[i].name);
        width = length > width ? length : width;
    }
    bench_print_head(report);
    printf("ceiling %.1f GFLOP/s, memory (copy, read and written) %.1f GB/s\n",
        json_number_value(json_object_get(report, "ceiling_gflops")),
        json_number_value(json_object_get(report, "memory_gbytes")));
    printf("%-*s  %-10s %-16s %9s %7s %8s %6s %7s %6s  %s\n", width, "layer", "kind", "part", "ms",
        "of step", "GFLOP/s", "share", "GB/s", "share", "kernel");
    for (int i = 0; i < table->rows; i++) {
        if (worth_showing(&table->row[i])) {
            print_row(&width, &table->row[i]);
        }
    }
    printf("\n%-*s  sums by kind\n", width, "");
    each_sum(table, print_row, &width);
}

static status table_init(struct table *table, const struct bench_setup *setup, int rounds) {
    *table = (struct table){.rows = PARTS * net_layer_count(setup->net) + OTHERS, .rounds = rounds};
    TRY(MEMORY_ALLOCATE(&table->row, (size_t)table->rows));
    /* One row more to put values in order in. */
    TRY(MEMORY_ALLOCATE(&table->seconds, (size_t)(table->rows + 1) * (size_t)rounds));
    TRY(MEMORY_ALLOCATE(&table->ceiling, (size_t)rounds));
    TRY(MEMORY_ALLOCATE(&table->memory, (size_t)rounds));
    describe_rows(table, setup);
    return STATUS_OK;
}

static status run(const struct job *job, const struct command_line *line) {
    const struct bench_options *all = line->options;
    const struct layers_options *options = line->kind_options;
    struct bench_setup setup;
    struct table table = {0};
    TRY(bench_setup_init(&setup, job, line, &options->model));
    status result = STATUS_OK;
    TRY_TO(done, result, table_init(&table, &setup, (int)options->rounds));
    clockid_t clock = bench_clock_of(options->cpu_time);
    TRY_TO(done, result, measure(&table, &setup, clock));
    take_medians(&table);
    if (job->rank == 0) {
        json_t *report = table_json(bench_report(job, "layers", setup.threads), &table);
        if (all->json) {
            bench_print_json(report);
        } else {
            print_text(report, &table);
            json_decref(report);
        }
    }
done:
    free(table.row);
    free(table.seconds);
    free(table.ceiling);
    free(table.memory);
    bench_setup_release(&setup);
    return result;
}

const struct bench_operations bench_layers = {
    .kind = {.name = "layers",
        .help = "the layers of a network one by one, in training: forward and both ways backward",
        .options = options_table,
        .options_size = sizeof(struct layers_options)},
    .run = run,
};
