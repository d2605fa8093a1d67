#include "docs/generate/chart.h"
#include "docs/generate/page.h"
#include "io/yaml.h"
#include "schedulers/schedule.h"

#include <string.h>

#define EPOCHS          30
#define STEPS_PER_EPOCH 20
#define STEPS           (EPOCHS * STEPS_PER_EPOCH)
#define BATCH           1024

/* What is drawn: the recipe's own words, and the file of the picture. */
static const struct example {
    const char *picture, *schedule, *words;
} examples[] = {
    {"constant", "{constant: 0.1}", ""},
    {"warmup", "{constant: {rate: 0.1, warmup_steps: 100}}",
        "Every schedule takes `warmup_steps`: below it the rate is the schedule's times "
        "(step + 1) / `warmup_steps`, as in Goyal et al. 2017."},
    {"reference_batch", "{constant: {rate: 0.1, reference_batch: 256, warmup_steps: 100}}",
        "Every schedule takes `reference_batch` too: the batch for which its rates, and a floor, "
        "are "
        "meant. They are multiplied by `train.batch` / `reference_batch`, and the warm-up begins "
        "at "
        "the rate for the reference (Goyal et al. 2017). Drawn for a batch of 1024."},
    {"step", "{step: {rate: 0.1, every_epochs: 8, factor: 0.5}}", ""},
    {"multistep", "{multistep: {rate: 0.1, epochs: [15, 22], factor: 0.3}}", ""},
    {"exponential", "{exponential: {rate: 0.1, factor: 0.9}}", "The period is one epoch here."},
    {"inverse", "{inverse: {rate: 0.1, gamma: 0.01, power: 0.75}}", ""},
    {"polynomial", "{polynomial: {rate: 0.1, power: 2, floor: 0.01}}", ""},
    {"cosine", "{cosine: {rate: 0.1, floor: 0.001, warmup_steps: 40}}", ""},
    {"cosine_restarts", "{cosine: {rate: 0.1, restart_epochs: 2, restart_factor: 2}}",
        "Warm restarts (Loshchilov and Hutter 2017), each period twice as long as the last."},
    {"one_cycle", "{one_cycle: {rate: 0.1, peak: 0.3}}",
        "Smith and Topin 2018. A straight way up and down: `shape: linear`."},
    {"plateau", "{plateau: {rate: 0.1, factor: 0.3, patience: 2, threshold: 0.02}}",
        "The one schedule that looks at the validation. Here it runs against a made-up loss that "
        "sinks towards a level set by the rate."},
};
#define EXAMPLES (int)(sizeof examples / sizeof examples[0])

static status parse_example(
    struct choice *schedule, struct document *document, const struct example *example) {
    TRY(yaml_parse(
        document, &document->root, example->schedule, strlen(example->schedule), example->picture));
    TRY(options_parse_choice(schedule, schedules, document->root, "schedule", &document->pool));
    return schedule_check(schedule);
}

/* Runs the schedule as a training run would, with a validation after each epoch. */
static void sample(double *rate, double *loss, const struct choice *schedule) {
    struct schedule_state state = {{0}};
    double now = 2;
    for (int i = 0; i < STEPS; i++) {
        struct schedule_position position = {i, STEPS, STEPS_PER_EPOCH, BATCH};
        rate[i] = schedule_rate(schedule, &state, &position);
        loss[i] = now;
        now += (0.2 + 6 * rate[i] - now) * 0.02;
        if ((i + 1) % STEPS_PER_EPOCH == 0) {
            schedule_observe(&state, schedule, "loss", now);
        }
    }
}

static status write_example(FILE *out, struct pages *pages, const struct example *example) {
    static double rate[STEPS], loss[STEPS];
    struct document document;
    document_init(&document);
    struct choice schedule;
    struct page picture;
    char name[64];
    snprintf(name, sizeof name, "schedules/%s.svg", example->picture);
    status result;
    TRY_TO(done, result, parse_example(&schedule, &document, example));
    sample(rate, loss, &schedule);
    const struct schedule_operations *operations =
        (const struct schedule_operations *)schedule.kind;
    bool watches = operations->observe != NULL;
    /* The first option of every schedule is its highest rate. */
    const double *highest =
        (const double *)((const char *)schedule.values + schedule.kind->options[0].offset);
    struct chart chart = {.title = example->schedule,
        .steps = STEPS,
        .steps_per_epoch = STEPS_PER_EPOCH,
        .rate = rate,
        .highest = *highest * schedule_scale(&schedule, BATCH),
        .second = watches ? loss : NULL,
        .second_label = "validation loss"};
    TRY_TO(done, result, page_open(&picture));
    chart_write(picture.out, &chart);
    TRY_TO(done, result, page_finish(&picture, pages, name));
    fprintf(out, "## %s\n\n%s.%s%s\n\n```yaml\nschedule: %s\n```\n\n![%s](%s)\n\n",
        example->picture, schedule.kind->help, example->words[0] != '\0' ? " " : "", example->words,
        example->schedule, example->picture, name);
done:
    document_release(&document);
    return result;
}

static status check_that_all_are_drawn(void) {
    for (int i = 0; schedules[i] != NULL; i++) {
        bool drawn = false;
        for (int k = 0; k < EXAMPLES; k++) {
            size_t length = strlen(schedules[i]->name);
            drawn = drawn || (strncmp(examples[k].schedule + 1, schedules[i]->name, length) == 0 &&
                                 examples[k].schedule[1 + length] == ':');
        }
        if (!drawn) {
            FAIL(STATUS_NOT_FOUND, "schedule %s has no picture: add one to %s", schedules[i]->name,
                __FILE__);
        }
    }
    return STATUS_OK;
}

status write_schedules_page(struct pages *pages) {
    TRY(check_that_all_are_drawn());
    struct page page;
    TRY(page_open(&page));
    fprintf(page.out,
        "# Learning-rate schedules\n\nEach picture is drawn by the function that training uses, "
        "over %d epochs of %d steps. All options\nare in [recipe.md](recipe.md); periods are given "
        "in epochs or in steps. This page is generated\n(`docs/generate/`).\n\n",
        EPOCHS, STEPS_PER_EPOCH);
    for (int i = 0; i < EXAMPLES; i++) {
        TRY(write_example(page.out, pages, &examples[i]));
    }
    return page_finish(&page, pages, "schedules.md");
}
