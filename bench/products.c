/* Products: what share of the processor's ceiling the convolutions reach, layer by layer and
 * direction by direction.
 *
 *     bench_products [--threads N] [--rounds N] [--cpu-time] [WORD]
 *
 * Each round measures the ceiling (independent fused multiply-adds, on as many threads) and right
 * after it the layer; a round gives one ratio, and the table shows the median and the spread over
 * the rounds. --cpu-time counts the processor's time and not the clock's, for a machine that others
 * use too; with more threads set OMP_WAIT_POLICY=passive, or those that wait count as working.
 * WORD: only layers whose name holds it. Where a convolution can be done by Winograd's filters a
 * round measures that, too, in tiles of 2x2 and of 4x4, right after the direct kernel: the last
 * columns are the median and spread of the ratio of their rates, both counted in the direct
 * kernel's operations. The instruction set is CONVOY_ISA's, or the best.
 */
#include "layer_case.h"

#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define ROUNDS_LIMIT 99

struct layer {
    const char *name;
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

static double layer_rate(struct layer_case *bench, enum direction direction) {
    double operations =
        2.0 * (double)convolution_multiply_adds(bench->convolution) * bench->pass.pictures;
    int times = (int)(2e9 / operations) + 1;
    double start = now();
    for (int i = 0; i < times; i++) {
        layer_case_run(bench, direction);
    }
    return operations * times / (now() - start);
}

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

enum kernel { DIRECT, TILES_2X2, TILES_4X4, KERNELS_OF_LAYER };
static const enum engine_winograd wishes[] = {WINOGRAD_OFF, WINOGRAD_2X2, WINOGRAD_4X4};

/* One row of the table: the direct kernel, and the others that the layer has. */
static void run_rounds(struct layer_case *cases, int kernels, const char *name,
    enum direction direction, enum cpu_isa isa, int threads, int rounds) {
    static const char *const directions[] = {"forward", "backward-data", "backward-weights"};
    double share[ROUNDS_LIMIT], rate[ROUNDS_LIMIT], ratio[KERNELS_OF_LAYER][ROUNDS_LIMIT];
    for (int k = 0; k < kernels; k++) {
        layer_case_run(&cases[k], direction);
    }
    for (int r = 0; r < rounds; r++) {
        double ceiling = ceiling_rate(&kernels_get(isa)->ceiling, threads);
        rate[r] = layer_rate(&cases[DIRECT], direction);
        share[r] = rate[r] / ceiling;
        for (int k = DIRECT + 1; k < kernels; k++) {
            ratio[k][r] = layer_rate(&cases[k], direction) / rate[r];
        }
    }
    struct spread shares = spread_of(share, rounds);
    printf("%-28s %-18s %8.1f %7.0f%% %3.0f-%.0f%%", name, directions[direction],
        1e-9 * spread_of(rate, rounds).median, 100 * shares.median, 100 * shares.low,
        100 * shares.high);
    for (int k = DIRECT + 1; k < kernels; k++) {
        struct spread ratios = spread_of(ratio[k], rounds);
        printf(" %7.2fx %.2f-%.2f", ratios.median, ratios.low, ratios.high);
    }
    printf("\n");
    fflush(stdout);
}

static status run_layer(const struct layer *layer, enum cpu_isa isa, int threads, int rounds) {
    struct layer_case cases[KERNELS_OF_LAYER] = {0};
    bool first = strncmp(layer->name, "first", 5) == 0; /* pictures have no gradient */
    int kernels = strncmp(layer->name, "3x3 ", 4) == 0 ? KERNELS_OF_LAYER : 1;
    status result = STATUS_OK;
    for (int k = 0; k < kernels && result == STATUS_OK; k++) {
        result = layer_case_init(
            &cases[k], &layer->shape, layer->pictures, kernels_get(isa), wishes[k], threads);
    }
    for (enum direction direction = FORWARD; direction < DIRECTIONS && result == STATUS_OK;
         direction++) {
        if (!first || direction != BACKWARD_DATA) {
            run_rounds(cases, kernels, layer->name, direction, isa, threads, rounds);
        }
    }
    for (int k = 0; k < kernels; k++) {
        layer_case_release(&cases[k]);
    }
    return result;
}

static status run(const char *word, int threads, int rounds) {
    enum cpu_isa isa;
    TRY(cpu_isa_choose(&isa));
    printf("%s, %s, %d threads, %d rounds, %s\n", cpu_model(), cpu_isa_name(isa), threads, rounds,
        clock_used == CLOCK_MONOTONIC ? "wall clock" : "processor time");
    printf("%-28s %-18s %8s %8s %8s %8s %9s %8s %9s\n", "layer", "direction", "GFLOP/s", "share",
        "spread", "2x2", "spread", "4x4", "spread");
    for (size_t l = 0; l < sizeof bench_layers / sizeof bench_layers[0]; l++) {
        if (word == NULL || strstr(bench_layers[l].name, word) != NULL) {
            TRY(run_layer(&bench_layers[l], isa, threads, rounds));
        }
    }
    return STATUS_OK;
}

int main(int count, char **arguments) {
    int threads = 1, rounds = 9;
    const char *word = NULL;
    for (int i = 1; i < count; i++) {
        if (strcmp(arguments[i], "--threads") == 0 && i + 1 < count) {
            threads = (int)strtol(arguments[++i], NULL, 10);
        } else if (strcmp(arguments[i], "--rounds") == 0 && i + 1 < count) {
            rounds = (int)strtol(arguments[++i], NULL, 10);
        } else if (strcmp(arguments[i], "--cpu-time") == 0) {
            clock_used = CLOCK_PROCESS_CPUTIME_ID;
        } else {
            word = arguments[i];
        }
    }
    if (threads < 1 || rounds < 1 || rounds > ROUNDS_LIMIT) {
        fprintf(stderr,
            "bench_products: threads and rounds must be at least 1, rounds at most %d\n",
            ROUNDS_LIMIT);
        return 2;
    }
    if (run(word, threads, rounds) != STATUS_OK) {
        fprintf(stderr, "bench_products: %s\n", status_message());
        return 1;
    }
    return 0;
}
