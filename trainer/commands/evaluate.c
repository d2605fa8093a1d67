#include "trainer/commands/command.h"
#include "trainer/trained.h"
#include "trainer/validation.h"

#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

struct evaluate_options {
    int64_t threads;
    bool oversubscribe, json;
};

static const struct option options_table[] = {
    {"threads", OPTION_INTEGER, offsetof(struct evaluate_options, threads), .initial = "0",
        .low = 0, .high = 1024, .help = "threads a rank (0: a fair share of the host's cores)"},
    {"oversubscribe", OPTION_SWITCH, offsetof(struct evaluate_options, oversubscribe),
        .help = "allow more ranks and threads than cores"},
    {"json", OPTION_SWITCH, offsetof(struct evaluate_options, json), .help = "as one JSON object"},
    OPTIONS_END};

/* All that an evaluation holds. */
struct evaluation {
    const struct job *job;
    struct trained trained;
    struct feed feed;
    struct net *net;
    struct step *step;
    struct confusion confusion;
    struct figures figures;
};

static const char *class_name(char number[16], const struct evaluation *e, int class) {
    snprintf(number, 16, "%d", class);
    return class < e->trained.classes ? e->trained.class_names[class] : number;
}

/* A table of true classes by given classes, widths by the longest name and count. */
static void print_confusion(const struct evaluation *e) {
    const int classes = e->confusion.classes;
    char number[16];
    int width = 5, cell = 6;
    for (int c = 0; c < classes; c++) {
        int length = (int)strlen(class_name(number, e, c));
        width = length > width ? length : width;
    }
    printf("\nconfusion: a line a true class, a column a given class\n%*s", width, "");
    for (int c = 0; c < classes; c++) {
        printf(" %*.*s", cell, cell, class_name(number, e, c));
    }
    printf(" %*s\n", cell + 1, "right");
    for (int t = 0; t < classes; t++) {
        const int64_t *row = e->confusion.counts + (size_t)t * (size_t)classes;
        int64_t sum = 0;
        printf("%*s", width, class_name(number, e, t));
        for (int c = 0; c < classes; c++) {
            printf(" %*" PRId64, cell, row[c]);
            sum += row[c];
        }
        printf(" %*.1f %%\n", cell - 1, sum > 0 ? 100.0 * (double)row[t] / (double)sum : 0.0);
    }
}

#define TABLE_LIMIT 30 /* classes; a wider table fits no screen */

static void print_text(const struct evaluation *e) {
    const struct figures *f = &e->figures;
    printf("%s on %s: %" PRId64 " pictures, accuracy %.2f %%, top 5 %.2f %%, loss %.4f\n",
        e->trained.path, dataset_get_folder(e->feed.dataset), f->pictures, 100 * f->accuracy,
        100 * f->accuracy_5, f->loss);
    if (e->confusion.classes <= TABLE_LIMIT) {
        print_confusion(e);
    }
}

static void print_json(const struct evaluation *e) {
    const int classes = e->confusion.classes;
    json_t *names = json_array(), *rows = json_array();
    for (int t = 0; t < classes; t++) {
        char number[16];
        json_t *row = json_array();
        for (int c = 0; c < classes; c++) {
            json_array_append_new(
                row, json_integer(e->confusion.counts[(size_t)t * (size_t)classes + (size_t)c]));
        }
        json_array_append_new(rows, row);
        json_array_append_new(names, json_string(class_name(number, e, t)));
    }
    /* JSON has no number for what is not finite. */
    json_t *loss = isfinite(e->figures.loss) ? json_real(e->figures.loss) : json_null();
    json_t *object = json_pack("{s:s, s:s, s:I, s:f, s:f, s:o, s:o, s:o}", "checkpoint",
        e->trained.path, "data_set", dataset_get_folder(e->feed.dataset), "pictures",
        (json_int_t)e->figures.pictures, "accuracy", e->figures.accuracy, "accuracy_5",
        e->figures.accuracy_5, "loss", loss, "classes", names, "confusion", rows);
    json_dumpf(object, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(17));
    putchar('\n');
    json_decref(object);
}

static struct step_options step_options_of(const struct recipe *recipe) {
    return (struct step_options){
        .leaves = recipe_leaves(recipe),
        .batch = recipe->train.batch,
        .bucket = (size_t)recipe->exchange.bucket,
        .seed = (uint64_t)recipe->train.seed,
    };
}

static status open_net(struct evaluation *e, const struct command_line *line, int threads) {
    const struct job *job = e->job;
    TRY(trained_open(&e->trained, line->arguments[0]));
    const struct recipe *recipe = &e->trained.recipe;
    TRY(feed_open(&e->feed, recipe, line->arguments[1], false));
    const struct step_options options = step_options_of(recipe);
    const struct step_room room = step_room(&options, job->rank, job->ranks);
    const struct net_options plan = {.pictures = room.pictures,
        .leaves = room.leaves,
        .leaf = room.leaf,
        .threads = threads,
        .loss = &recipe->train.loss};
    TRY(trained_create_net(&e->net, &e->trained, &plan));
    TRY(feed_check(&e->feed, recipe->model, e->net));
    if (e->feed.information->classes != e->trained.classes) {
        FAIL(STATUS_INPUT, "%s has %d classes and the network of %s was trained on %d",
            line->arguments[1], e->feed.information->classes, e->trained.path, e->trained.classes);
    }
    e->confusion.classes = e->feed.information->classes;
    size_t cells = (size_t)e->confusion.classes * (size_t)e->confusion.classes;
    return MEMORY_ALLOCATE(&e->confusion.counts, cells);
}

static status open_step(struct evaluation *e) {
    const struct step_options options = step_options_of(&e->trained.recipe);
    return step_create(&e->step, e->net, NULL, e->job->transport, &options);
}

static void close_evaluation(struct evaluation *e) {
    if (e->step != NULL) {
        step_destroy(e->step);
    }
    if (e->net != NULL) {
        net_destroy(e->net);
    }
    feed_release(&e->feed);
    trained_release(&e->trained);
    free(e->confusion.counts);
}

static status evaluate(struct evaluation *e, const struct command_line *line) {
    const struct evaluate_options *options = line->options;
    int threads;
    TRY(job_agree(
        e->job, job_plan_threads(&threads, e->job, options->threads, options->oversubscribe)));
    TRY(job_agree(e->job, open_net(e, line, threads)));
    TRY(open_step(e));
    TRY(validation_run(
        &e->figures, &e->confusion, e->job, e->step, e->net, &e->feed, &e->trained.recipe, NULL));
    if (e->job->rank == 0) {
        (options->json ? print_json : print_text)(e);
    }
    return STATUS_OK;
}

static status run(int *code, const struct command_line *line) {
    (void)code;
    struct job job;
    struct evaluation evaluation = {.job = &job};
    status result = job_init(&job);
    if (result == STATUS_OK) {
        result = evaluate(&evaluation, line);
    }
    close_evaluation(&evaluation);
    job_release(&job, result);
    return result;
}

const struct command command_evaluate = {
    .name = "evaluate",
    .arguments = "RUN|CHECKPOINT DATASET",
    .help = "say how often a trained network is right, and what it confuses",
    .description =
        "Of a run folder the newest checkpoint is used. Under mpirun all ranks share the\n"
        "work; the figures are the same for any number of them.",
    .fewest = 2,
    .most = 2,
    .options = options_table,
    .options_size = sizeof(struct evaluate_options),
    .all_ranks = true,
    .run = run,
};
