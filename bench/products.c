/* Products: what share of the processor's ceiling the convolutions reach, layer by layer and
 * direction by direction.
 *
 *     bench_products [--threads N] [--rounds N] [--cpu-time] [WORD]
 *
 * Each round measures the ceiling (independent fused multiply-adds, on as many threads) and right
 * after it the layer; a round gives one ratio, and the table shows the median and the spread over
 * the rounds. --cpu-time counts the processor's time and not the clock's, for a machine that others
 * use too; with more threads set OMP_WAIT_POLICY=passive, or those that wait count as working.
 * WORD: only layers whose name holds it. The instruction set is CONVOY_ISA's, or the best.
 */
#include "base/memory.h"
#include "worker/kernels/convolution.h"

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

struct bench {
    struct tensor input, output, input_gradient, output_gradient;
    struct arena arena; /* on huge pages, as in a net */
    size_t used;
    float *weights, *gradient;
    void *scratch;
    struct convolution *convolution;
    struct pass pass;
    int leaf_start[3];
    struct subtree subtree;
    float *gradients[1];
};

static clockid_t clock_used = CLOCK_MONOTONIC;

static double now(void) {
    struct timespec time;
    clock_gettime(clock_used, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

/* The next piece of the arena. Called once without memory to measure, once to place. */
static void *take(struct bench *bench, size_t bytes) {
    void *piece = bench->arena.base != NULL ? bench->arena.base + bench->used : NULL;
    bench->used += (bytes + MEMORY_ALIGNMENT - 1) / MEMORY_ALIGNMENT * MEMORY_ALIGNMENT;
    return piece;
}

static void place(struct bench *bench, struct tensor *tensor, struct shape shape, int border_height,
    int border_width, int pictures) {
    tensor_init(tensor, shape, border_height, border_width, pictures);
    void *memory = take(bench, tensor_bytes(tensor));
    if (memory != NULL) {
        tensor_place(tensor, memory);
    }
}

static void fill(const struct tensor *tensor) {
    struct shape shape = tensor->shape;
    for (int n = 0; n < tensor->pictures; n++) {
        for (int b = 0; b < shape_blocks(shape.channels); b++) {
            for (int h = 0; h < shape.height; h++) {
                float *row = tensor_at(tensor, n, b, h, 0);
                for (int i = 0; i < shape.width * CHANNEL_BLOCK; i++) {
                    bool exists = b * CHANNEL_BLOCK + i % CHANNEL_BLOCK < shape.channels;
                    row[i] = exists ? 0.01f * (float)((n + h + i) % 17 - 8) : 0.0f;
                }
            }
        }
    }
}

static void plan(struct bench *bench, const struct layer *layer, struct shape output) {
    int height, width;
    size_t packed = convolution_packed_size(bench->convolution);
    bench->used = 0;
    convolution_input_border(&height, &width, bench->convolution);
    place(bench, &bench->input, layer->shape.input, height, width, layer->pictures);
    place(bench, &bench->input_gradient, layer->shape.input, 0, 0, layer->pictures);
    convolution_gradient_border(&height, &width, bench->convolution);
    place(bench, &bench->output, output, 0, 0, layer->pictures);
    place(bench, &bench->output_gradient, output, height, width, layer->pictures);
    bench->weights = take(bench, packed * sizeof(float));
    bench->gradient = take(bench, packed * sizeof(float));
    bench->scratch = take(bench, convolution_scratch_bytes(bench->convolution));
}

static status bench_init(
    struct bench *bench, const struct layer *layer, const struct kernels *kernels, int threads) {
    *bench = (struct bench){0};
    struct shape output;
    TRY(convolution_output(&output, &layer->shape));
    TRY(convolution_create(
        &bench->convolution, &layer->shape, kernels, ENGINE_CONVOY, threads, layer->pictures, 2));
    plan(bench, layer, output);
    TRY(arena_init(&bench->arena, bench->used));
    plan(bench, layer, output);
    fill(&bench->input);
    fill(&bench->output_gradient);
    for (size_t i = 0; i < convolution_packed_size(bench->convolution); i++) {
        bench->weights[i] = 0.01f * (float)(i % 13);
    }
    bench->gradients[0] = bench->gradient;
    bench->leaf_start[1] = (layer->pictures + 1) / 2;
    bench->leaf_start[2] = layer->pictures;
    bench->subtree = (struct subtree){0, 2};
    bench->pass = (struct pass){
        .training = true,
        .pictures = layer->pictures,
        .leaves = 2,
        .leaf_start = bench->leaf_start,
        .subtrees = 1,
        .subtree = &bench->subtree,
        .gradient = bench->gradients,
    };
    return STATUS_OK;
}

static void bench_release(struct bench *bench) {
    arena_release(&bench->arena);
    convolution_destroy(bench->convolution);
}

static void run_direction(struct bench *bench, int direction) {
    int pictures = bench->pass.pictures;
    switch (direction) {
    case 0:
        convolution_forward(&bench->output, &bench->input, bench->weights, NULL, pictures,
            bench->convolution, bench->scratch);
        break;
    case 1:
        convolution_backward_data(&bench->input_gradient, &bench->output_gradient, bench->weights,
            pictures, bench->convolution, bench->scratch);
        break;
    default:
        convolution_backward_weights(bench->gradients, &bench->input, &bench->output_gradient,
            &bench->pass, bench->convolution, bench->scratch);
    }
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

static double layer_rate(struct bench *bench, int direction) {
    double operations =
        2.0 * (double)convolution_multiply_adds(bench->convolution) * bench->pass.pictures;
    int times = (int)(2e9 / operations) + 1;
    double start = now();
    for (int i = 0; i < times; i++) {
        run_direction(bench, direction);
    }
    return operations * times / (now() - start);
}

static int compare(const void *a, const void *b) {
    double left = *(const double *)a, right = *(const double *)b;
    return left < right ? -1 : left > right;
}

static status run(const char *word, int threads, int rounds) {
    static const char *const directions[] = {"forward", "backward-data", "backward-weights"};
    enum cpu_isa isa;
    TRY(cpu_isa_choose(&isa));
    printf("%s, %s, %d threads, %d rounds, %s\n", cpu_model(), cpu_isa_name(isa), threads, rounds,
        clock_used == CLOCK_MONOTONIC ? "wall clock" : "processor time");
    printf("%-28s %-18s %8s %8s %8s\n", "layer", "direction", "GFLOP/s", "share", "spread");
    for (size_t l = 0; l < sizeof bench_layers / sizeof bench_layers[0]; l++) {
        const struct layer *layer = &bench_layers[l];
        struct bench bench;
        if (word != NULL && strstr(layer->name, word) == NULL) {
            continue;
        }
        status result = bench_init(&bench, layer, kernels_get(isa), threads);
        bool first = strncmp(layer->name, "first", 5) == 0; /* pictures have no gradient */
        for (int direction = 0; direction < 3 && result == STATUS_OK; direction++) {
            if (first && direction == 1) {
                continue;
            }
            double share[ROUNDS_LIMIT], rate[ROUNDS_LIMIT];
            run_direction(&bench, direction);
            for (int r = 0; r < rounds; r++) {
                double ceiling = ceiling_rate(&kernels_get(isa)->ceiling, threads);
                rate[r] = layer_rate(&bench, direction);
                share[r] = rate[r] / ceiling;
            }
            qsort(share, (size_t)rounds, sizeof share[0], compare);
            qsort(rate, (size_t)rounds, sizeof rate[0], compare);
            printf("%-28s %-18s %8.1f %7.0f%% %3.0f-%.0f%%\n", layer->name, directions[direction],
                1e-9 * rate[rounds / 2], 100 * share[rounds / 2], 100 * share[rounds / 4],
                100 * share[rounds - 1 - rounds / 4]);
            fflush(stdout);
        }
        bench_release(&bench);
        TRY(result);
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
