/* Products: what share of the processor's ceiling the convolutions reach, layer by layer and
 * direction by direction.
 *
 *     bench_products [--threads N] [--rounds N] [--cpu-time] [WORD]
 *     bench_products [--threads N] [--rounds N] [--cpu-time] --lines < LAYERS
 *
 * Each round measures the ceiling (independent fused multiply-adds, on as many threads) and right
 * after it the layer; a round gives one ratio, and the table shows the median and the spread over
 * the rounds. --cpu-time counts the processor's time and not the clock's, for a machine that others
 * use too; with more threads set OMP_WAIT_POLICY=passive, or those that wait count as working.
 * WORD: only layers whose name holds it. Where a convolution can be done by Winograd's filters a
 * round measures that, too, in tiles of 2x2 and of 4x4, right after the direct kernel: the last
 * columns are the median and spread of the ratio of their rates, both counted in the direct
 * kernel's operations. The instruction set is CONVOY_ISA's, or the best.
 *
 * With --lines the layers come from standard input, one a line (layer_case.h). A round then
 * measures the direct kernel, Winograd's where the shape has it by default, and oneDNN's where that
 * is installed. For each direction a line of JSON comes out: operations of a run (two a
 * multiply-add) and, round by round, operations a second of the ceiling and seconds of a run
 * ("direct", "winograd", "onednn": empty where there is none).
 */
#include "layer_case.h"
#include "peer.h"

#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROUNDS_LIMIT     99
#define ROUND_OPERATIONS 4e9 /* of a contestant in a round at least, */
#define ROUND_SECONDS    0.5 /* unless that takes it longer */

struct layer {
    const char *name; /* "first ...": its input has no gradient */
    struct convolution_shape shape;
    int pictures;
};

#define SQUARE(c, hw, o, k, s, p)                                                                  \
    { {c, hw, hw}, o, k, k, s, s, p, p, 1, 1, 1 }

static const struct layer bench_layers[] = {
    {"3x3 64-64 56x56", SQUARE(64, 56, 64, 3, 1, 1), 8},
    {"3x3 128-128 28x28", SQUARE(128, 28, 128, 3, 1, 1), 8},
    {"3x3 256-256 14x14", SQUARE(256, 14, 256, 3, 1, 1), 16},
    {"3x3 512-512 7x7", SQUARE(512, 7, 512, 3, 1, 1), 16},
    {"3x3 64-64 224x224", SQUARE(64, 224, 64, 3, 1, 1), 1},
    {"3x3 128-128 112x112", SQUARE(128, 112, 128, 3, 1, 1), 2},
    {"3x3 256-256 56x56", SQUARE(256, 56, 256, 3, 1, 1), 2},
    {"3x3 512-512 28x28", SQUARE(512, 28, 512, 3, 1, 1), 4},
    {"3x3 512-512 14x14", SQUARE(512, 14, 512, 3, 1, 1), 8},
    {"3x3 32-64 28x28", SQUARE(32, 28, 64, 3, 1, 1), 8},
    {"3x3 128-128 6x6", SQUARE(128, 6, 128, 3, 1, 1), 32},
    {"3x3 128-128 5x5", SQUARE(128, 5, 128, 3, 1, 1), 32},
    {"3x3 256-256 4x4", SQUARE(256, 4, 256, 3, 1, 1), 32},
    {"3x3 512-512 4x4", SQUARE(512, 4, 512, 3, 1, 1), 32},
    {"3x3 512-512 3x3", SQUARE(512, 3, 512, 3, 1, 1), 32},
    {"3x3 512-512 2x2", SQUARE(512, 2, 512, 3, 1, 1), 32},
    {"3x3/2 128-128 56x56", SQUARE(128, 56, 128, 3, 2, 1), 4},
    {"1x1 256-64 56x56", SQUARE(256, 56, 64, 1, 1, 0), 8},
    {"1x1 64-256 56x56", SQUARE(64, 56, 256, 1, 1, 0), 8},
    {"1x1 512-128 28x28", SQUARE(512, 28, 128, 1, 1, 0), 8},
    {"1x1 1024-256 14x14", SQUARE(1024, 14, 256, 1, 1, 0), 16},
    {"1x1 512-2048 7x7", SQUARE(512, 7, 2048, 1, 1, 0), 16},
    {"1x1/2 256-512 56x56", SQUARE(256, 56, 512, 1, 2, 0), 4},
    {"first 7x7/2 3-64 224x224", SQUARE(3, 224, 64, 7, 2, 3), 2},
    {"first 11x11/4 3-64 224x224", SQUARE(3, 224, 64, 11, 4, 2), 4},
    {"first 3x3 3-64 224x224", SQUARE(3, 224, 64, 3, 1, 1), 1},
    {"first 5x5 1-16 28x28", SQUARE(1, 28, 16, 5, 1, 2), 32},
    {"5x5 48-128 28x28", SQUARE(48, 28, 128, 5, 1, 2), 8},
    {"linear 4096-4096", SQUARE(4096, 1, 4096, 1, 1, 0), 64},
    {"linear 512x7x7-1024", SQUARE(512, 7, 1024, 7, 1, 0), 32},
};

static clockid_t clock_used = CLOCK_MONOTONIC;

static double now(void) {
    struct timespec time;
    clock_gettime(clock_used, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

/* Where results go that nobody wants. */
static volatile float sink;

/* Operations a second of independent multiply-adds on all threads, over about 5 ms. */
static double ceiling_rate(const struct ceiling_kernels *ceiling, int threads) {
    const long rounds = 400000;
    double start = now();
#pragma omp parallel num_threads(threads)
    sink = ceiling->multiply_add(rounds);
    return 2.0 * CHANNEL_BLOCK * CEILING_PRODUCTS * (double)rounds * threads / (now() - start);
}

/* The direct kernel comes first; then others of ours, where the layer has them, and the peer. */
#define OWN_LIMIT 3
enum { DIRECT, OTHER, PEER = OWN_LIMIT, CONTESTANTS };

struct contest {
    struct layer_case own[OWN_LIMIT];
    int count; /* of own */
    struct peer *peer;
};

struct rounds {
    int count;
    double operations, ceiling[ROUNDS_LIMIT], seconds[CONTESTANTS][ROUNDS_LIMIT];
};

static void contest_release(struct contest *contest) {
    for (int k = 0; k < OWN_LIMIT; k++) {
        layer_case_release(&contest->own[k]);
    }
    peer_destroy(contest->peer);
}

/* wishes[count] of ours beside the direct kernel; those that lead to a direct kernel are left out.
 */
static status contest_init(struct contest *contest, const struct layer *layer,
    const enum engine_winograd *wishes, int count, int threads) {
    enum cpu_isa isa;
    *contest = (struct contest){.count = 1};
    TRY(cpu_isa_choose(&isa));
    TRY(layer_case_init(&contest->own[DIRECT], &layer->shape, layer->pictures, kernels_get(isa),
        WINOGRAD_OFF, threads));
    for (int k = 0; k < count; k++) {
        struct layer_case *own = &contest->own[contest->count];
        TRY(layer_case_init(
            own, &layer->shape, layer->pictures, kernels_get(isa), wishes[k], threads));
        if (convolution_is_winograd(own->convolution)) {
            contest->count++;
        } else {
            layer_case_release(own);
            *own = (struct layer_case){0};
        }
    }
    return STATUS_OK;
}

static bool takes_part(const struct contest *contest, int contestant) {
    return contestant == PEER ? contest->peer != NULL : contestant < contest->count;
}

/* How often a contestant runs in a round, whose first run took so long. */
static int times_of_round(double operations, double seconds) {
    double wanted = ROUND_OPERATIONS / operations + 1, most = ROUND_SECONDS / seconds;
    return (int)(most < 1 ? 1 : most < wanted ? most : wanted);
}

/* Seconds of one run, over `times`. */
static double time_runs(
    struct contest *contest, int contestant, enum direction direction, int times) {
    double start = now();
    for (int i = 0; i < times; i++) {
        if (contestant == PEER) {
            peer_run(contest->peer, direction);
        } else {
            layer_case_run(&contest->own[contestant], direction);
        }
    }
    return (now() - start) / times;
}

static void run_rounds(
    struct rounds *rounds, struct contest *contest, enum direction direction, int threads) {
    struct layer_case *direct = &contest->own[DIRECT];
    enum cpu_isa isa = CPU_ISA_PORTABLE;
    cpu_isa_choose(&isa);
    rounds->operations =
        2.0 * (double)convolution_multiply_adds(direct->convolution) * direct->pass.pictures;
    int times[CONTESTANTS];
    for (int r = -1; r < rounds->count; r++) { /* the first does not count */
        double ceiling = ceiling_rate(&kernels_get(isa)->ceiling, threads);
        for (int k = 0; k < CONTESTANTS; k++) {
            if (!takes_part(contest, k)) {
                continue;
            }
            double seconds = time_runs(contest, k, direction, r < 0 ? 1 : times[k]);
            if (r >= 0) {
                rounds->seconds[k][r] = seconds;
            } else {
                times[k] = times_of_round(rounds->operations, seconds);
            }
        }
        if (r >= 0) {
            rounds->ceiling[r] = ceiling;
        }
    }
}

/* ---- the table ---- */

static int compare(const void *a, const void *b) {
    double left = *(const double *)a, right = *(const double *)b;
    return left < right ? -1 : left > right;
}

/* Median, and the middle half. */
struct spread {
    double low, median, high;
};

static struct spread spread_of(double *values, int count) {
    qsort(values, (size_t)count, sizeof values[0], compare);
    return (struct spread){values[count / 4], values[count / 2], values[count - 1 - count / 4]};
}

static void print_row(const struct rounds *rounds, const struct contest *contest) {
    double share[ROUNDS_LIMIT], rate[ROUNDS_LIMIT], ratio[ROUNDS_LIMIT];
    for (int r = 0; r < rounds->count; r++) {
        rate[r] = rounds->operations / rounds->seconds[DIRECT][r];
        share[r] = rate[r] / rounds->ceiling[r];
    }
    struct spread shares = spread_of(share, rounds->count);
    printf(" %8.1f %7.0f%% %3.0f-%.0f%%", 1e-9 * spread_of(rate, rounds->count).median,
        100 * shares.median, 100 * shares.low, 100 * shares.high);
    for (int k = OTHER; k < contest->count; k++) {
        for (int r = 0; r < rounds->count; r++) {
            ratio[r] = rounds->seconds[DIRECT][r] / rounds->seconds[k][r];
        }
        struct spread ratios = spread_of(ratio, rounds->count);
        printf(" %7.2fx %.2f-%.2f", ratios.median, ratios.low, ratios.high);
    }
    printf("\n");
}

/* ---- JSON ---- */

static void print_list(const char *name, const double *values, int count) {
    printf(", \"%s\": [", name);
    for (int i = 0; i < count; i++) {
        printf("%s%.6g", i > 0 ? ", " : "", values[i]);
    }
    printf("]");
}

static void print_json(
    const struct rounds *rounds, const struct contest *contest, const char *direction) {
    const int count = rounds->count;
    static bool started = false;
    printf("%s\n{\"direction\": \"%s\", \"operations\": %.0f", started ? "," : "[", direction,
        rounds->operations);
    started = true;
    print_list("ceiling", rounds->ceiling, count);
    print_list("direct", rounds->seconds[DIRECT], count);
    print_list("winograd", rounds->seconds[OTHER], takes_part(contest, OTHER) ? count : 0);
    print_list("onednn", rounds->seconds[PEER], takes_part(contest, PEER) ? count : 0);
    printf("}");
}

/* ---- layers ---- */

static void run_layer(struct contest *contest, const struct layer *layer, bool json, int threads,
    struct rounds *rounds) {
    static const char *const names[] = {"forward", "backward-data", "backward-weights"};
    for (enum direction d = FORWARD; d < DIRECTIONS; d++) {
        if (d == BACKWARD_DATA && strncmp(layer->name, "first", 5) == 0) {
            continue;
        }
        run_rounds(rounds, contest, d, threads);
        if (json) {
            print_json(rounds, contest, names[d]);
        } else {
            printf("%-28s %-18s", layer->name, names[d]);
            print_row(rounds, contest);
        }
        fflush(stdout);
    }
}

static status run_table(const char *word, int threads, struct rounds *rounds) {
    static const enum engine_winograd wishes[] = {WINOGRAD_2X2, WINOGRAD_4X4};
    enum cpu_isa isa;
    TRY(cpu_isa_choose(&isa));
    printf("%s, %s, %d threads, %d rounds, %s\n", cpu_model(), cpu_isa_name(isa), threads,
        rounds->count, clock_used == CLOCK_MONOTONIC ? "wall clock" : "processor time");
    printf("%-28s %-18s %8s %8s %8s %8s %9s %8s %9s\n", "layer", "direction", "GFLOP/s", "share",
        "spread", "2x2", "spread", "4x4", "spread");
    for (size_t l = 0; l < sizeof bench_layers / sizeof bench_layers[0]; l++) {
        const struct layer *layer = &bench_layers[l];
        if (word != NULL && strstr(layer->name, word) == NULL) {
            continue;
        }
        struct contest contest;
        status result = contest_init(&contest, layer, wishes, 2, threads);
        if (result == STATUS_OK) {
            run_layer(&contest, layer, false, threads, rounds);
        }
        contest_release(&contest);
        TRY(result);
    }
    return STATUS_OK;
}

static status run_lines(int threads, struct rounds *rounds) {
    static const enum engine_winograd wishes[] = {WINOGRAD_ON};
    struct layer_line line;
    bool read;
    TRY(layer_line_read(&read, &line));
    while (read) {
        const struct layer layer = {line.first ? "first" : "", line.shape, line.pictures};
        struct contest contest;
        status result = contest_init(&contest, &layer, wishes, 1, threads);
        if (result == STATUS_OK) {
            contest.peer = peer_create(&layer.shape, layer.pictures);
            run_layer(&contest, &layer, true, threads, rounds);
        }
        contest_release(&contest);
        TRY(result);
        TRY(layer_line_read(&read, &line));
    }
    printf("\n]\n");
    return STATUS_OK;
}

int main(int count, char **arguments) {
    static struct rounds rounds = {.count = 9};
    int threads = 1;
    bool lines = false;
    const char *word = NULL;
    for (int i = 1; i < count; i++) {
        if (strcmp(arguments[i], "--threads") == 0 && i + 1 < count) {
            threads = (int)strtol(arguments[++i], NULL, 10);
        } else if (strcmp(arguments[i], "--rounds") == 0 && i + 1 < count) {
            rounds.count = (int)strtol(arguments[++i], NULL, 10);
        } else if (strcmp(arguments[i], "--cpu-time") == 0) {
            clock_used = CLOCK_PROCESS_CPUTIME_ID;
        } else if (strcmp(arguments[i], "--lines") == 0) {
            lines = true;
        } else {
            word = arguments[i];
        }
    }
    if (threads < 1 || rounds.count < 1 || rounds.count > ROUNDS_LIMIT) {
        fprintf(stderr,
            "bench_products: threads and rounds must be at least 1, rounds at most %d\n",
            ROUNDS_LIMIT);
        return 2;
    }
    omp_set_num_threads(threads);
    if ((lines ? run_lines(threads, &rounds) : run_table(word, threads, &rounds)) != STATUS_OK) {
        fprintf(stderr, "bench_products: %s\n", status_message());
        return 1;
    }
    return 0;
}
