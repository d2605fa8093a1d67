/* What `convoy bench` measures: one file for each (bench_*.c), registered in commands/bench.c.
 *
 * Every rank measures at the same time, so that they compete for memory as they do in training.
 * Rates alone say more about the minute than about the code: each is printed beside the ceiling of
 * the same run, as a share of it. Nothing here changes what is computed.
 */
#ifndef TRAINER_BENCH_H
#define TRAINER_BENCH_H

#include "base/memory.h"
#include "trainer/commands/command.h"
#include "trainer/job.h"
#include "trainer/recipe.h"
#include "worker/step.h"

#include <jansson.h>
#include <time.h>

/* Flags of every bench. */
struct bench_options {
    int64_t threads; /* 0: the rank's share of the host's cores */
    bool oversubscribe, json;
};

/* One thing to measure. */
struct bench_operations {
    struct kind kind;
    /* For all ranks; rank 0 prints. */
    status (*run)(const struct job *job, const struct command_line *line);
};
extern const struct bench_operations bench_ceiling, bench_exchange, bench_layers, bench_step;

/* The clock on the wall, or this process's share of the processors: for a machine that others use
 * too. With the second, rates are those of one thread. */
#define BENCH_CPU_TIME_OPTION(type, field)                                                         \
    {                                                                                              \
        "cpu_time", OPTION_SWITCH, offsetof(type, field),                                          \
            .help = "the processor's time and not the clock's, where others use the machine too: " \
                    "rates are those of one thread (with more, set OMP_WAIT_POLICY=passive)"       \
    }
clockid_t bench_clock_of(bool cpu_time);

/* Seconds by `clock`. */
double bench_clock(clockid_t clock);

/* The median of values[count], which are put in order; 0 of none. */
double bench_median(double *values, int count);

/* Begins a report: processor, kernels, ranks, threads and build. Owned by the caller. */
json_t *bench_report(const struct job *job, const char *what, int threads);
/* Prints the report as JSON and drops it. */
void bench_print_json(json_t *report);
/* Prints its first lines as text. */
void bench_print_head(const json_t *report);

/* ---- the ceiling (bench_machine.c) ---- */

/* Rates of one rank's threads together. */
struct bench_machine {
    const struct kernels *kernels;
    int threads;
    clockid_t clock;
    struct arena memory; /* floats [threads][2][BENCH_MEMORY], on huge pages as a net's */
    long rounds;         /* of multiply-adds that take a thread about a millisecond */
};
#define BENCH_MEMORY ((size_t)16 << 20) /* floats a thread reads: past every cache */

/* Takes memory for read and copy only where `memory` is set. */
status bench_machine_init(struct bench_machine *machine, int threads, clockid_t clock, bool memory);
void bench_machine_release(struct bench_machine *machine);
/* Floating-point operations a second (two a multiply-add) over about `milliseconds`, on the first
 * `threads` threads. With a clock of processor time it is the rate of one thread. */
double bench_machine_products(
    const struct bench_machine *machine, int threads, double milliseconds);
/* Bytes a second: read; read and written by a copy. */
double bench_machine_read(const struct bench_machine *machine, int threads);
double bench_machine_copy(const struct bench_machine *machine, int threads);

/* ---- a training step on made-up pictures (bench_setup.c) ---- */

struct bench_setup {
    const struct job *job;
    struct recipe recipe;
    int threads;
    struct net *net;
    struct optimizer *optimizer;
    struct step *step;
    float *pixels; /* of this rank's leaves, random */
    struct target *targets;
    int64_t pictures; /* of this rank */
    int64_t steps_run;
};

/* The flags of who trains a model, to stand in the tables of options of a bench. */
struct bench_model_options {
    int64_t batch, leaf;
};
#define BENCH_MODEL_OPTIONS(type, field)                                                           \
    {"batch", OPTION_INTEGER, offsetof(type, field.batch), .initial = "16", .low = 1, .high = 1e7, \
        .help = "pictures a step, over all ranks"},                                                \
    {                                                                                              \
        "leaf", OPTION_INTEGER, offsetof(type, field.leaf),                                        \
            .initial = "0", .low = 0, .high = 65536,                                               \
            .help = "pictures a leaf (0: as many as leave one leaf a rank)"                        \
    }

/* For all ranks, failing alike. The first argument of the line is a model's file, the others
 * set keys of the recipe. On failure nothing is held. */
status bench_setup_init(struct bench_setup *setup, const struct job *job,
    const struct command_line *line, const struct bench_model_options *options);
void bench_setup_release(struct bench_setup *setup);
/* For all ranks. A step: forward, backward, exchange and update. */
status bench_setup_step(struct bench_setup *setup);
/* Multiply-adds of a step, a picture: forward, gradients of weights, gradients of inputs. */
int64_t bench_setup_multiply_adds(const struct bench_setup *setup);

#endif
