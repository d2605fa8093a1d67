/* One layer that runs when it is told to, so that two builds of it can take turns within
 * milliseconds (bench/turns).
 *
 *     bench_turn [--threads N] [--cpu-time] [--direct]
 *
 * The first line of standard input is the layer (layer_case.h); operations of a run (two a
 * multiply-add) come out. Then every line names a direction, 0 forward, 1 backward-data or 2
 * backward-weights; it runs, and the seconds that it took come out. --direct: not by Winograd's
 * filters. The instruction set is CONVOY_ISA's, or the best.
 */
#include "layer_case.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static double now(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

static void take_turns(struct layer_case *own, clockid_t clock) {
    char line[16];
    while (fgets(line, sizeof line, stdin) != NULL) {
        enum direction direction = (enum direction)strtol(line, NULL, 10);
        double start = now(clock);
        layer_case_run(own, direction);
        printf("%.9f\n", now(clock) - start);
        fflush(stdout);
    }
}

static status run(int threads, enum engine_winograd winograd, clockid_t clock) {
    struct layer_line line;
    struct layer_case own;
    enum cpu_isa isa;
    bool read;
    TRY(cpu_isa_choose(&isa));
    TRY(layer_line_read(&read, &line));
    if (!read) {
        FAIL(STATUS_INPUT, "standard input: no layer");
    }
    status result =
        layer_case_init(&own, &line.shape, line.pictures, kernels_get(isa), winograd, threads);
    if (result == STATUS_OK) {
        printf(
            "%.0f\n", 2.0 * (double)convolution_multiply_adds(own.convolution) * own.pass.pictures);
        fflush(stdout);
        take_turns(&own, clock);
    }
    layer_case_release(&own);
    return result;
}

int main(int count, char **arguments) {
    int threads = 1;
    enum engine_winograd winograd = WINOGRAD_ON;
    clockid_t clock = CLOCK_MONOTONIC;
    for (int i = 1; i < count; i++) {
        if (strcmp(arguments[i], "--threads") == 0 && i + 1 < count) {
            threads = (int)strtol(arguments[++i], NULL, 10);
        } else if (strcmp(arguments[i], "--cpu-time") == 0) {
            clock = CLOCK_PROCESS_CPUTIME_ID;
        } else if (strcmp(arguments[i], "--direct") == 0) {
            winograd = WINOGRAD_OFF;
        } else {
            fprintf(stderr, "usage: bench_turn [--threads N] [--cpu-time] [--direct] < LAYER\n");
            return 2;
        }
    }
    if (run(threads, winograd, clock) != STATUS_OK) {
        fprintf(stderr, "bench_turn: %s\n", status_message());
        return 1;
    }
    return 0;
}
