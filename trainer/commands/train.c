#include "trainer/commands/command.h"
#include "trainer/run.h"
#include "trainer/signals.h"

#include <inttypes.h>
#include <jansson.h>

struct train_options {
    const char *run, *timeline;
    bool resume, oversubscribe, quiet, json;
    int64_t threads;
};

static const struct option options_table[] = {
    {"run", OPTION_TEXT, offsetof(struct train_options, run),
        .help = "folder of the run (default: runs/RECIPE, numbered when taken)"},
    {"resume", OPTION_SWITCH, offsetof(struct train_options, resume),
        .help = "go on from the newest checkpoint; start afresh where there is none"},
    {"threads", OPTION_INTEGER, offsetof(struct train_options, threads), .initial = "0", .low = 0,
        .high = 1024, .help = "threads a rank (0: as the recipe says, or a fair share)"},
    {"timeline", OPTION_TEXT, offsetof(struct train_options, timeline),
        .help = "write a trace of all ranks, to be seen with Perfetto or chrome://tracing"},
    {"oversubscribe", OPTION_SWITCH, offsetof(struct train_options, oversubscribe),
        .help = "allow more ranks and threads than cores"},
    {"quiet", OPTION_SWITCH, offsetof(struct train_options, quiet),
        .help = "say nothing but warnings and the result"},
    {"json", OPTION_SWITCH, offsetof(struct train_options, json),
        .help = "the result as one JSON object"},
    OPTIONS_END};

static void print_json(const struct run *run) {
    const struct state *state = &run->state;
    json_t *object = json_pack("{s:s, s:I, s:I, s:I, s:b, s:b}", "run", run->folder.path, "step",
        (json_int_t)state->step, "steps", (json_int_t)state->steps, "epoch",
        (json_int_t)(state->step / state->steps_per_epoch), "stopped_by_signal",
        run->stop_signals != 0, "stopped_early", coordinator_stopped_early(run->recipe, state));
    if (run->figures.pictures > 0) {
        json_object_set_new(object, "validation",
            json_pack("{s:f, s:f, s:f}", "loss", run->figures.loss, "accuracy",
                run->figures.accuracy, "accuracy_5", run->figures.accuracy_5));
    }
    if (state->best_step >= 0) {
        json_object_set_new(object, "best",
            json_pack("{s:I, s:s, s:f}", "step", (json_int_t)state->best_step, "metric",
                coordinator_metric_name(run->recipe), "value", state->best_value));
    }
    json_dumpf(object, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    putchar('\n');
    json_decref(object);
}

static void print_text(const struct run *run) {
    const struct state *state = &run->state;
    printf("%s: ", run->folder.path);
    if (run->stop_signals != 0) {
        printf("stopped by %s after step %" PRId64 " of %" PRId64 "; go on with --resume\n",
            signals_name(run->stop_signals), state->step, state->steps);
        return;
    }
    printf("%s after step %" PRId64,
        coordinator_stopped_early(run->recipe, state) ? "stopped early" : "done", state->step);
    if (run->figures.pictures > 0) {
        printf(", validation accuracy %.2f %%, loss %.4f", 100 * run->figures.accuracy,
            run->figures.loss);
    }
    if (state->best_step >= 0 && state->best_step < state->step) {
        printf(", best after step %" PRId64, state->best_step);
    }
    putchar('\n');
}

static status train(int *code, struct run *run, const struct command_line *line) {
    const struct train_options *options = line->options;
    const struct run_options run_options = {.recipe_path = line->arguments[0],
        .folder = options->run,
        .timeline = options->timeline,
        .threads = options->threads,
        .resume = options->resume,
        .oversubscribe = options->oversubscribe,
        .quiet = options->quiet};
    struct recipe recipe;
    TRY(job_agree(
        &run->job, recipe_load(&recipe, line->arguments[0], line->arguments + 1, line->count - 1)));
    status result = run_open(run, &recipe, &run_options);
    if (result == STATUS_OK) {
        result = run_train(run);
    }
    if (result == STATUS_OK && run->job.rank == 0) {
        (options->json ? print_json : print_text)(run);
    }
    if (result == STATUS_OK && run->stop_signals != 0) {
        *code = EXIT_CODE_STOPPED;
    }
    run_close(run);
    recipe_release(&recipe);
    return result;
}

static status run_command(int *code, const struct command_line *line) {
    struct run run = {0};
    status result = job_init(&run.job);
    if (result == STATUS_OK) {
        result = train(code, &run, line);
    }
    job_release(&run.job, result);
    return result;
}

const struct command command_train = {
    .name = "train",
    .arguments = "RECIPE [key=value ...]",
    .help = "train a network, on one rank or under mpirun on many",
    .description =
        "key=value sets any key of the recipe (train.batch=512); `convoy help recipe` lists them.\n"
        "The run folder holds the resolved recipe, log.txt, metrics.jsonl and checkpoints/.\n"
        "SIGUSR1 ends the step, writes a checkpoint and stops with exit code 75.",
    .fewest = 1,
    .most = -1,
    .options = options_table,
    .options_size = sizeof(struct train_options),
    .all_ranks = true,
    .run = run_command,
};
