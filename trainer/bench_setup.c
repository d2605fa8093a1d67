#include "base/memory.h"
#include "base/random.h"
#include "schedulers/schedule.h"
#include "trainer/bench.h"
#include "trainer/coordinator.h"
#include "trainer/recipe_plan.h"

#include <inttypes.h>
#include <stdlib.h>

/* A rate so small that no network leaves the finite numbers, whatever its first weights. */
static const char defaults[] = "train:\n"
                               "  optimizer: {sgd: {momentum: 0.9, weight_decay: 0.0001}}\n"
                               "  schedule: {constant: {rate: 0.00001}}\n";

static int64_t fitting_leaf(int64_t batch, int ranks) {
    int64_t leaves = 1;
    while (leaves < ranks) {
        leaves *= 2;
    }
    return batch >= leaves ? batch / leaves : 1;
}

static status load_recipe(struct recipe *recipe, const struct command_line *line, int ranks,
    const struct bench_model_options *options) {
    const char **overrides;
    char batch[64], leaf[64];
    snprintf(batch, sizeof batch, "train.batch=%" PRId64, options->batch);
    snprintf(leaf, sizeof leaf, "train.leaf=%" PRId64,
        options->leaf > 0 ? options->leaf : fitting_leaf(options->batch, ranks));
    TRY(MEMORY_ALLOCATE(&overrides, (size_t)line->count + 1));
    overrides[0] = batch;
    overrides[1] = leaf;
    for (int i = 1; i < line->count; i++) {
        overrides[1 + i] = line->arguments[i];
    }
    status result =
        recipe_for_model(recipe, line->arguments[0], defaults, overrides, line->count + 1);
    free(overrides);
    return result;
}

static void make_pictures(struct bench_setup *setup) {
    const size_t elements = shape_elements(net_input_shape(setup->net));
    const uint32_t classes = (uint32_t)net_output_shape(setup->net).channels;
#pragma omp parallel for num_threads(setup->threads) schedule(static)
    for (int64_t n = 0; n < setup->pictures; n++) {
        const struct random_place place = {
            .seed = (uint64_t)setup->job->rank, .purpose = RANDOM_TRANSFORM, .item = (uint32_t)n};
        uint32_t words[4];
        float *picture = setup->pixels + (size_t)n * elements;
        for (size_t i = 0; i < elements; i++) {
            if (i % 4 == 0) {
                random_block(words, &place, (uint32_t)(i / 4));
            }
            picture[i] = 4.0f * random_uniform(words[i % 4]) - 2.0f;
        }
        setup->targets[n] = (struct target){TARGET_CLASS, (int32_t)((uint32_t)n % classes)};
    }
}

static status open_net(struct bench_setup *setup) {
    const struct recipe *recipe = &setup->recipe;
    const struct job *job = setup->job;
    const int first_core = job_first_core(job, setup->threads);
    struct net_options plan =
        recipe_net_options(recipe, job->rank, job->ranks, setup->threads, (int)recipe->train.leaf);
    plan.pin = first_core >= 0;
    plan.first_core = first_core;
    TRY(net_create(&setup->net, recipe->model, &plan));
    TRY(net_initialise(setup->net, (uint64_t)recipe->train.seed));
    const struct optimizer_options update = recipe_optimizer_options(recipe, setup->threads);
    return optimizer_create(&setup->optimizer, setup->net, &update);
}

static status open_step(struct bench_setup *setup) {
    const struct recipe *recipe = &setup->recipe;
    const struct step_options options = recipe_step_options(recipe, setup->threads);
    TRY(step_create(&setup->step, setup->net, setup->optimizer, setup->job->transport, &options));
    setup->pictures = step_pictures(setup->step, recipe->train.batch);
    size_t elements = shape_elements(net_input_shape(setup->net));
    TRY(MEMORY_ALLOCATE(&setup->pixels, (size_t)setup->pictures * elements));
    TRY(MEMORY_ALLOCATE(&setup->targets, (size_t)setup->pictures));
    make_pictures(setup);
    return STATUS_OK;
}

status bench_setup_init(struct bench_setup *setup, const struct job *job,
    const struct command_line *line, const struct bench_model_options *options) {
    const struct bench_options *all = line->options;
    *setup = (struct bench_setup){.job = job};
    if (line->count == 0) {
        FAIL(STATUS_USAGE, "bench %s takes a MODEL: the file of a network", line->kind->name);
    }
    status result = STATUS_OK;
    TRY_TO(failed, result, job_agree(job, load_recipe(&setup->recipe, line, job->ranks, options)));
    int64_t threads = all->threads > 0 ? all->threads : setup->recipe.train.threads;
    TRY_TO(failed, result,
        job_agree(job, job_plan_threads(&setup->threads, job, threads, all->oversubscribe)));
    TRY_TO(failed, result, job_agree(job, open_net(setup)));
    TRY_TO(failed, result, job_agree(job, open_step(setup)));
    return STATUS_OK;
failed:
    bench_setup_release(setup);
    return result;
}

void bench_setup_release(struct bench_setup *setup) {
    step_destroy(setup->step);
    if (setup->optimizer != NULL) {
        optimizer_destroy(setup->optimizer);
    }
    net_destroy(setup->net);
    free(setup->pixels);
    free(setup->targets);
    recipe_release(&setup->recipe);
    *setup = (struct bench_setup){0};
}

status bench_setup_step(struct bench_setup *setup) {
    const struct schedule_position position = {.step = setup->steps_run,
        .steps = INT32_MAX,
        .steps_per_epoch = INT32_MAX,
        .batch = setup->recipe.train.batch};
    struct decision decision = {.step = setup->steps_run};
    decision.rate =
        schedule_rate(&setup->recipe.train.schedule, &(struct schedule_state){0}, &position);
    TRY(step_meet(setup->step, STATUS_OK));
    status mine = step_forward(
        setup->step, setup->steps_run, setup->recipe.train.batch, setup->pixels, setup->targets);
    TRY(step_agree(setup->step, mine, 0, &decision, sizeof decision));
    TRY(step_backward(setup->step, NULL, &decision, sizeof decision));
    setup->steps_run++;
    return STATUS_OK;
}

int64_t bench_setup_multiply_adds(const struct bench_setup *setup) {
    int64_t sum = 0;
    for (int i = 0; i < net_layer_count(setup->net); i++) {
        const struct layer_report report = net_layer_report(setup->net, i);
        sum += report.multiply_adds * (report.input_gradient ? 3 : 2);
    }
    return sum;
}
