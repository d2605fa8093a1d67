#include "trainer/bench.h"

static const struct option options_table[] = {
    {"threads", OPTION_INTEGER, offsetof(struct bench_options, threads), .initial = "0", .low = 0,
        .high = 1024, .help = "threads a rank (0: its share of the host's cores)"},
    {"oversubscribe", OPTION_SWITCH, offsetof(struct bench_options, oversubscribe),
        .help = "allow more threads than cores"},
    {"json", OPTION_SWITCH, offsetof(struct bench_options, json), .help = "as one JSON object"},
    OPTIONS_END};

static const struct kind *const benches[] = {
    &bench_ceiling.kind, &bench_exchange.kind, &bench_layers.kind, &bench_step.kind, NULL};

static status run(int *code, const struct command_line *line) {
    (void)code;
    struct job job;
    status result = job_init(&job);
    if (result == STATUS_OK) {
        result = ((const struct bench_operations *)line->kind)->run(&job, line);
    }
    job_release(&job, result);
    return result;
}

const struct command command_bench = {
    .name = "bench",
    .arguments = "WHAT [MODEL [key=value ...]]",
    .help = "measure what the machine can do, and how much of it a network's training uses",
    .description =
        "Every rate is shown beside the ceiling of the same run: independent fused multiply-adds,\n"
        "and copying of memory. MODEL is the file of a network, trained on made-up pictures;\n"
        "key=value sets a key of its recipe (engine.kernels=blas).",
    .fewest = 0,
    .most = -1,
    .options = options_table,
    .options_size = sizeof(struct bench_options),
    .kinds = benches,
    .kinds_what = "bench",
    .all_ranks = true,
    .run = run,
};
