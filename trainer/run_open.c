#include "trainer/run.h"

#include "base/digest.h"
#include "trainer/recipe_plan.h"
#include "trainer/signals.h"
#include "trainer/version.h"
#include "worker/exchange/agreement.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static status open_data(struct run *run) {
    const struct recipe *recipe = run->recipe;
    if (recipe->data.train == NULL) {
        FAIL_AT(
            recipe->document.root, STATUS_USAGE, "data.train: the data set to train on is missing");
    }
    TRY(feed_open(&run->training, recipe, recipe->data.train, true));
    if (recipe->data.validation != NULL) {
        TRY(feed_open(&run->validation, recipe, recipe->data.validation, false));
    }
    return STATUS_OK;
}

static status open_net(struct run *run) {
    const struct recipe *recipe = run->recipe;
    struct net_options plan = recipe_net_options(
        recipe, run->job.rank, run->job.ranks, run->threads, feed_smallest_leaf(&run->training));
    plan.pin = run->first_core >= 0;
    plan.first_core = run->first_core;
    TRY(net_create(&run->net, recipe->model, &plan));
    TRY(feed_check(&run->training, recipe->model, run->net));
    if (run->validation.dataset != NULL) {
        TRY(feed_check(&run->validation, recipe->model, run->net));
    }
    TRY(net_initialise(run->net, (uint64_t)recipe->train.seed));
    const struct optimizer_options update = recipe_optimizer_options(recipe, run->threads);
    return optimizer_create(&run->optimizer, run->net, &update);
}

static status open_step(struct run *run) {
    const struct step_options options = recipe_step_options(run->recipe, run->threads);
    return step_create(&run->step, run->net, run->optimizer, run->job.transport, &options);
}

static void plan_steps(struct run *run) {
    const struct recipe_train *train = &run->recipe->train;
    int64_t steps_per_epoch = order_steps(&run->training.order);
    state_init(&run->state, train->steps > 0 ? train->steps : train->epochs * steps_per_epoch,
        steps_per_epoch);
}

static status describe(struct run *run) {
    const struct schedule_operations *schedule =
        (const struct schedule_operations *)run->recipe->train.schedule.kind;
    TRY(recipe_canonical(&run->canonical, run->recipe));
    run->description = (struct state_description){
        .recipe = run->canonical,
        .seed = run->recipe->train.seed,
        .best_metric = coordinator_metric_name(run->recipe),
        .data = run->training.information,
        .validation_digest = schedule->observe != NULL && run->validation.dataset != NULL
                                 ? run->validation.information->digest
                                 : NULL,
    };
    return STATUS_OK;
}

/* What every rank must have alike, single values first: the most telling difference is named. */
static status agree_on_all(const struct run *run) {
    const struct recipe *recipe = run->recipe;
    char seed[32], batch[64], steps[32], bucket[32], patience[32], cadence[64], text[17];
    snprintf(seed, sizeof seed, "%" PRId64, recipe->train.seed);
    snprintf(batch, sizeof batch, "%" PRId64 " in leaves of %" PRId64, recipe->train.batch,
        recipe->train.leaf);
    snprintf(steps, sizeof steps, "%" PRId64, run->state.steps);
    snprintf(bucket, sizeof bucket, "%" PRId64, recipe->exchange.bucket);
    snprintf(patience, sizeof patience, "%" PRId64, recipe->train.stop.patience);
    snprintf(cadence, sizeof cadence, "every %" PRId64 " epochs and %" PRId64 " steps",
        recipe->train.validate_every_epochs, recipe->train.validate_every_steps);
    digest_text(digest_bytes(run->canonical, strlen(run->canonical)), text);
    const struct agreement_value values[] = {
        {"build", version_identity()},
        {"seed", seed},
        {"batch", batch},
        {"data set", run->training.information->digest},
        {"validation set",
            run->validation.dataset != NULL ? run->validation.information->digest : "none"},
        {"recipe", text},
        {"number of steps", steps},
        {"exchange.bucket", bucket},
        {"train.stop.patience", patience},
        {"cadence of validation", cadence},
        {"--timeline", run->options->timeline != NULL ? "given" : "not given"},
    };
    return agreement_compare(run->job.transport, values, (int)(sizeof values / sizeof values[0]));
}

static status start_loader(struct run *run) {
    int64_t steps = run->state.steps, per_epoch = run->state.steps_per_epoch;
    int64_t epochs = (steps + per_epoch - 1) / per_epoch - run->state.step / per_epoch;
    if (epochs <= 0) {
        return STATUS_OK; /* nothing is left to do */
    }
    return feed_start(&run->loader, &run->training, run->recipe, run->job.rank, run->job.ranks,
        run->state.step, (uint32_t)epochs);
}

/* The job ends: whether this could be written or not is all the same. */
static void leave_timeline(void *timeline) {
    (void)timeline_leave(timeline);
}

static status open_timeline(struct run *run) {
    if (run->options->timeline == NULL) {
        return STATUS_OK;
    }
    TRY(job_agree(&run->job,
        timeline_open(&run->timeline, run->options->timeline, run->job.transport, run->net)));
    TRY(timeline_begin(run->timeline));
    watch_set_last(run->job.watch, leave_timeline, run->timeline);
    return STATUS_OK;
}

/* Rank 0's limits count: a rank that beats more slowly than the others expect would be taken as
 * silent. */
static void watch(const struct job *job, const struct recipe_watch *options) {
    struct watch_limits limits = {.heartbeat = options->heartbeat_seconds,
        .warn = options->warn_seconds,
        .stop = options->stop_seconds};
    job_broadcast(job, &limits, sizeof limits);
    watch_set_limits(job->watch, &limits);
}

/* Small steps with an agreement after each, so that no rank waits for one that failed. */
status run_open(struct run *run, const struct recipe *recipe, const struct run_options *options) {
    const struct job job = run->job;
    signals_install();
    watch(&job, &recipe->watch);
    *run = (struct run){.recipe = recipe, .options = options, .job = job};
    int64_t threads = options->threads > 0 ? options->threads : recipe->train.threads;
    TRY(job_agree(&job, job_plan_threads(&run->threads, &job, threads, options->oversubscribe)));
    run->first_core = job_first_core(&job, run->threads);
    TRY(job_agree(&job, open_data(run)));
    plan_steps(run);
    TRY(job_agree(&job, describe(run)));
    TRY(agree_on_all(run)); /* before what all do together because of it */
    TRY(run_stage(run));
    TRY(job_agree(&job, open_net(run)));
    TRY(open_step(run));
    TRY(open_timeline(run));
    TRY(run_load(run));
    return job_agree(&job, start_loader(run));
}

void run_close(struct run *run) {
    watch_set_last(run->job.watch, NULL, NULL);
    timeline_close(run->timeline);
    if (run->loader != NULL) {
        loader_destroy(run->loader);
    }
    if (run->step != NULL) {
        step_destroy(run->step);
    }
    if (run->optimizer != NULL) {
        optimizer_destroy(run->optimizer);
    }
    if (run->net != NULL) {
        net_destroy(run->net);
    }
    feed_release(&run->training);
    feed_release(&run->validation);
    for (int s = 0; s < 2; s++) {
        stage_destroy(run->stage[s]);
    }
    free(run->canonical);
    watch_set_log(run->job.watch, NULL);
    if (run->log != NULL) {
        log_close(run->log);
    }
    run_folder_release(&run->folder);
}
