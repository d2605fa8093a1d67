#include "base/cpu.h"
#include "io/file.h"
#include "io/log.h"
#include "io/yaml.h"
#include "shard/dataset.h"
#include "trainer/commands/command.h"
#include "trainer/job.h"
#include "trainer/memory_report.h"
#include "trainer/net_report.h"
#include "trainer/recipe_plan.h"
#include "trainer/state.h"
#include "trainer/trained.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

struct inspect_options {
    int64_t ranks, nodes; /* 0: not given */
    bool verify, json;
};

static const struct option options_table[] = {
    {"ranks", OPTION_INTEGER, offsetof(struct inspect_options, ranks), .low = 1, .high = 65536,
        .help = "for a recipe: memory of one rank of so many, without it of one alone"},
    {"nodes", OPTION_INTEGER, offsetof(struct inspect_options, nodes), .low = 1, .high = 65536,
        .help = "... and of one node of so many that have these ranks"},
    {"verify", OPTION_SWITCH, offsetof(struct inspect_options, verify),
        .help = "for data sets and checkpoints: read all of it and check every sum"},
    {"json", OPTION_SWITCH, offsetof(struct inspect_options, json), .help = "as one JSON object"},
    OPTIONS_END};

/* Prints the object and drops it. */
static void print_json(json_t *object) {
    json_dumpf(object, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(9));
    putchar('\n');
    json_decref(object);
}

/* What can be inspected, and which arguments have a meaning for it. */
struct subject {
    const char *name;
    bool keys, ranks, sums;
    status (*show)(const struct command_line *line, const char *path);
};

static status check_arguments(
    const struct command_line *line, const struct subject *subject, const char *path) {
    const struct inspect_options *options = line->options;
    if (line->count > 1 && !subject->keys) {
        FAIL(STATUS_USAGE, "%s is %s: nothing may follow it, not \"%s\"", path, subject->name,
            line->arguments[1]);
    }
    if ((options->ranks > 0 || options->nodes > 0) && !subject->ranks) {
        FAIL(STATUS_USAGE, "--%s is for recipes, and %s is %s",
            options->ranks > 0 ? "ranks" : "nodes", path, subject->name);
    }
    if (options->verify && !subject->sums) {
        FAIL(STATUS_USAGE, "--verify is for data sets and checkpoints, and %s is %s", path,
            subject->name);
    }
    return STATUS_OK;
}

/* Threads that a run on this machine gives to each of the ranks of a node. */
static status plan_threads(int *threads, int64_t wanted, int node_ranks) {
    const struct job machine = {
        .host_ranks = node_ranks,
        .host_cores = cpu_count(),
        .cores = cpu_count(),
    };
    return job_plan_threads(threads, &machine, wanted, true);
}

/* ---- networks: of a model, a recipe or a checkpoint ---- */

static void print_net(json_t *object, const struct net *net, bool json) {
    if (json) {
        json_object_set_new(object, "network", net_report_json(net));
        print_json(object);
    } else {
        net_report_print(stdout, net);
        json_decref(object);
    }
}

/* For one picture, by a recipe that says nothing but what the command line does. */
static status inspect_model(const struct command_line *line, const char *path) {
    const struct inspect_options *options = line->options;
    struct recipe recipe;
    TRY(recipe_for_model(&recipe, path,
        "train: {batch: 1, leaf: 1, schedule: {constant: {rate: 0}}}", line->arguments + 1,
        line->count - 1));
    int threads;
    struct net *net = NULL;
    status result = STATUS_OK;
    TRY_TO(done, result, plan_threads(&threads, recipe.train.threads, 1));
    struct net_options plan = recipe_net_options(&recipe, 0, 1, threads, 0);
    plan.plan_only = true;
    TRY_TO(done, result, net_create(&net, recipe.model, &plan));
    print_net(json_pack("{s:s, s:s}", "path", path, "is", "model"), net, options->json);
done:
    net_destroy(net);
    recipe_release(&recipe);
    return result;
}

static json_t *recipe_json(const struct recipe *recipe, const char *path) {
    const struct recipe_train *train = &recipe->train;
    return json_pack("{s:s, s:s, s:I, s:I, s:i, s:s, s:s, s:s}", "path", path, "is", "recipe",
        "batch", (json_int_t)train->batch, "leaf", (json_int_t)train->leaf, "leaves",
        recipe_leaves(recipe), "loss", train->loss.kind->name, "optimizer",
        train->optimizer.kind->name, "schedule", train->schedule.kind->name);
}

/* Plans the net of rank 0, and what the job takes of memory. */
static status plan_job(struct net **net, struct memory_report *memory, const struct recipe *recipe,
    const struct inspect_options *options) {
    const int leaves = recipe_leaves(recipe);
    struct memory_job job = {.ranks = 1, .nodes = 1, .program = memory_report_now()};
    if (options->ranks > 0) {
        job.ranks = options->ranks < leaves ? (int)options->ranks : leaves;
    }
    if (options->nodes > 0) {
        job.nodes = options->nodes < job.ranks ? (int)options->nodes : job.ranks;
    }
    TRY(plan_threads(&job.threads, recipe->train.threads, (job.ranks + job.nodes - 1) / job.nodes));
    struct net_options plan = recipe_net_options(recipe, 0, job.ranks, job.threads, 0);
    plan.plan_only = true;
    TRY(net_create(net, recipe->model, &plan));
    return memory_report_make(memory, recipe, *net, &job);
}

static status inspect_recipe(const struct command_line *line, const char *path) {
    const struct inspect_options *options = line->options;
    struct recipe recipe;
    TRY(recipe_load(&recipe, path, line->arguments + 1, line->count - 1));
    struct net *net = NULL;
    struct memory_report memory;
    struct job job = {0};
    status result = STATUS_OK;
    TRY_TO(done, result, job_init(&job)); /* MPI is a part of the program that takes memory */
    TRY_TO(done, result, plan_job(&net, &memory, &recipe, options));
    if (!options->json) {
        printf("recipe %s: batch %" PRId64 " = %d leaves of %" PRId64 ", loss %s, optimizer %s, "
               "schedule %s\n\n",
            path, recipe.train.batch, recipe_leaves(&recipe), recipe.train.leaf,
            recipe.train.loss.kind->name, recipe.train.optimizer.kind->name,
            recipe.train.schedule.kind->name);
    }
    json_t *object = recipe_json(&recipe, path);
    json_object_set_new(object, "memory", memory_report_json(&memory));
    print_net(object, net, options->json);
    if (!options->json) {
        memory_report_print(stdout, &memory);
    }
done:
    net_destroy(net);
    job_release(&job, result);
    recipe_release(&recipe);
    return result;
}

/* ---- checkpoints ---- */

static json_t *checkpoint_json(const struct trained *trained, bool verified) {
    static const char *const keys[] = {"step", "epoch", "seed", "steps", "steps_per_epoch",
        "validated", "best_step", "best_metric", "picture", "data_digest"};
    json_t *classes = json_array();
    for (int c = 0; c < trained->classes; c++) {
        json_array_append_new(classes, json_string(trained->class_names[c]));
    }
    json_t *object =
        json_pack("{s:s, s:s, s:b, s:i, s:o}", "path", trained->path, "is", "checkpoint",
            "verified", verified, "tensors", safetensors_count(trained->file), "classes", classes);
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        const char *value = safetensors_metadata(trained->file, keys[i]);
        char *end;
        long long number = value != NULL ? strtoll(value, &end, 10) : 0;
        if (value != NULL && end != value && *end == '\0') {
            json_object_set_new(object, keys[i], json_integer(number));
        } else if (value != NULL) {
            json_object_set_new(object, keys[i], json_string(value));
        }
    }
    return object;
}

static status inspect_checkpoint(const struct command_line *line, const char *path) {
    const struct inspect_options *options = line->options;
    struct trained trained;
    TRY(trained_open(&trained, path));
    status result = STATUS_OK;
    struct net *net = NULL;
    int threads;
    TRY_TO(done, result, plan_threads(&threads, 0, 1));
    if (options->verify) {
        TRY_TO(done, result, safetensors_verify(trained.file));
    }
    const struct net_options plan = {
        .pictures = 1,
        .leaves = 1,
        .leaf = 1,
        .threads = threads,
        .engine = (enum engine_kernels)trained.recipe.engine.kernels,
        .winograd = (enum engine_winograd)trained.recipe.engine.winograd,
        .plan_only = true,
    };
    TRY_TO(done, result, net_create(&net, trained.recipe.model, &plan));
    json_t *object = checkpoint_json(&trained, options->verify);
    if (!options->json) {
        const char *key;
        json_t *value;
        json_object_foreach(object, key, value) {
            if (json_is_string(value)) {
                printf("%-16s %s\n", key, json_string_value(value));
            } else if (json_is_integer(value)) {
                printf("%-16s %lld\n", key, (long long)json_integer_value(value));
            }
        }
        printf("%s\n\nrecipe\n%s\n", options->verify ? "every sum verified" : "",
            safetensors_metadata(trained.file, "recipe"));
    }
    json_object_set_new(
        object, "recipe", json_string(safetensors_metadata(trained.file, "recipe")));
    print_net(object, net, options->json);
    net_destroy(net);
done:
    trained_release(&trained);
    return result;
}

/* ---- data sets ---- */

static void show_progress(void *context, int64_t done, int64_t total) {
    log_count(context, "verifying", done, total);
}

static status verify(struct dataset *dataset) {
    struct log *log;
    TRY(log_open(&log, NULL, false, false));
    status result = dataset_verify(dataset, show_progress, log);
    log_progress_end(log);
    log_close(log);
    return result;
}

static json_t *dataset_json(const struct dataset_information *data, const char *path) {
    json_t *classes = json_array();
    for (int c = 0; c < data->classes; c++) {
        char number[16];
        snprintf(number, sizeof number, "%d", c);
        json_array_append_new(
            classes, json_pack("{s:s, s:I}", "name",
                         data->class_names != NULL ? data->class_names[c] : number, "pictures",
                         (json_int_t)(data->class_counts != NULL ? data->class_counts[c] : 0)));
    }
    json_t *mean = json_array(), *deviation = json_array();
    for (int c = 0; c < data->mean_count; c++) {
        json_array_append_new(mean, json_real(data->mean[c]));
        json_array_append_new(deviation, json_real(data->deviation[c]));
    }
    return json_pack("{s:s, s:s, s:s, s:I, s:i, s:[i, i, i], s:s, s:o, s:o, s:o}", "path", path,
        "is", "data set", "format", data->format != NULL ? data->format : "", "pictures",
        (json_int_t)data->records, "shards", data->shards, "shape", data->shape.channels,
        data->shape.height, data->shape.width, "digest", data->digest, "mean", mean, "deviation",
        deviation, "classes", classes);
}

static void print_dataset(const struct dataset_information *data, const char *path) {
    char shape[64];
    printf("data set %s: %" PRId64 " pictures, %s, in %d shards, imported as %s, digest %s\n", path,
        data->records,
        data->shape.height > 0 ? shape_text(data->shape, shape, sizeof shape) : "of many sizes",
        data->shards, data->format != NULL ? data->format : "?", data->digest);
    for (int c = 0; c < data->mean_count; c++) {
        printf("channel %d: mean %.4f, standard deviation %.4f\n", c, data->mean[c],
            data->deviation[c]);
    }
    for (int c = 0; c < data->classes; c++) {
        printf("class %3d: %8" PRId64 "  %s\n", c,
            data->class_counts != NULL ? data->class_counts[c] : 0,
            data->class_names != NULL ? data->class_names[c] : "");
    }
}

static status inspect_dataset(const struct command_line *line, const char *path) {
    const struct inspect_options *options = line->options;
    struct dataset *dataset;
    TRY(dataset_open(&dataset, path));
    const struct dataset_information *data = dataset_get_information(dataset);
    status result = options->verify ? verify(dataset) : STATUS_OK;
    if (result == STATUS_OK && options->json) {
        json_t *object = dataset_json(data, path);
        json_object_set_new(object, "verified", json_boolean(options->verify));
        print_json(object);
    } else if (result == STATUS_OK) {
        print_dataset(data, path);
        if (options->verify) {
            puts("every record read and verified");
        }
    }
    dataset_close(dataset);
    return result;
}

static bool has_folder(const char *folder, const char *name) {
    char *path = NULL;
    bool found = path_join(&path, folder, name) == STATUS_OK && folder_exists(path);
    free(path);
    return found;
}

static bool ends_with(const char *text, const char *end) {
    size_t length = strlen(text), tail = strlen(end);
    return length >= tail && strcmp(text + length - tail, end) == 0;
}

/* ---- which of them it is ---- */

static const struct subject recipe_subject = {
    "a recipe", .keys = true, .ranks = true, .show = inspect_recipe};
static const struct subject model_subject = {"a model", .keys = true, .show = inspect_model};
static const struct subject checkpoint_subject = {
    "a checkpoint", .sums = true, .show = inspect_checkpoint};
static const struct subject run_subject = {"a run", .sums = true, .show = inspect_checkpoint};
static const struct subject dataset_subject = {"a data set", .sums = true, .show = inspect_dataset};

static status find_yaml(const struct subject **subject, const char *path) {
    struct document document;
    document_init(&document);
    status result = yaml_load(&document, &document.root, path);
    bool is_model = result == STATUS_OK && node_get(document.root, "layers") != NULL;
    document_release(&document);
    *subject = is_model ? &model_subject : &recipe_subject;
    return result;
}

static status find_subject(const struct subject **subject, const char *path) {
    if (folder_exists(path)) {
        bool run_folder = has_folder(path, "checkpoints") || ends_with(path, "checkpoints");
        *subject = run_folder ? &run_subject : &dataset_subject;
        return STATUS_OK;
    }
    if (!file_exists(path)) {
        FAIL(STATUS_USAGE, "there is no file or folder %s", path);
    }
    *subject = &checkpoint_subject;
    return ends_with(path, ".safetensors") ? STATUS_OK : find_yaml(subject, path);
}

static status run(int *code, const struct command_line *line) {
    (void)code;
    const char *path = line->arguments[0];
    const struct subject *subject = NULL;
    TRY(find_subject(&subject, path));
    TRY(check_arguments(line, subject, path));
    return subject->show(line, path);
}

const struct command command_inspect = {
    .name = "inspect",
    .arguments = "RECIPE|MODEL|CHECKPOINT|DATASET [key=value ...]",
    .help = "show what a recipe, model, checkpoint, run or data set holds",
    .description =
        "Networks are shown as a table: every layer's output, parameters, multiply-adds\n"
        "and the kernel it got, of backward too where that is not the same. Memory is that of a\n"
        "run on this machine, with as many threads. key=value sets keys of the recipe, as for\n"
        "train; of a bare model those of a recipe that says nothing else (engine.winograd=off).",
    .fewest = 1,
    .most = -1,
    .options = options_table,
    .options_size = sizeof(struct inspect_options),
    .run = run,
};
