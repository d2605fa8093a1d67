#include "io/checkpoint.h"
#include "trainer/run.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static struct state_parts parts_of(const struct run *run) {
    return (struct state_parts){run->net, run->optimizer, run->step};
}

static status save(struct run *run) {
    const struct state_parts parts = parts_of(run);
    char *path;
    TRY(checkpoint_path(&path, run->folder.path, run->state.step));
    status result = state_save(path, &run->state, &run->description, &parts);
    free(path);
    TRY(result);
    if (run->state.best_step == run->state.step) {
        TRY(checkpoint_mark_best(run->folder.path, run->state.step));
    }
    return checkpoint_retain(
        run->folder.path, run->state.step, (int)run->recipe->checkpoint.keep, run->state.best_step);
}

static status save_together(struct run *run) {
    TRY(job_agree(&run->job, run->pending));
    status mine = STATUS_OK;
    if (run->job.rank == 0) {
        mine = save(run);
        TRY(step_end_service(run->step));
    } else {
        mine = step_serve(run->step);
    }
    return job_agree(&run->job, mine);
}

status run_save(struct run *run) {
    const struct activity_now before = activity_enter(run->job.activity, ACTIVITY_CHECKPOINT, -1);
    status result = save_together(run);
    activity_leave(run->job.activity, before);
    return result;
}

/* What was passed over: said when there is a log to say it in. */
struct skipped {
    char *text;    /* damaged checkpoints */
    bool exchange; /* what bf16 on the wire left out on other nodes */
};

static void remember_skipped(void *context, const char *path, const char *reason) {
    struct skipped *skipped = context;
    char *text;
    if (asprintf(&text, "%s%s%s (%s)", skipped->text != NULL ? skipped->text : "",
            skipped->text != NULL ? "; " : "", path, reason) >= 0) {
        free(skipped->text);
        skipped->text = text;
    }
}

/* *resumed = false where the folder holds no checkpoint. */
static status resume(bool *resumed, struct run *run, struct skipped *skipped) {
    struct safetensors_file *file = NULL;
    char *path = NULL;
    *resumed = false;
    status result =
        checkpoint_open_latest(&file, &path, run->folder.path, remember_skipped, skipped);
    if (result == STATUS_NOT_FOUND && skipped->text == NULL) {
        return STATUS_OK;
    }
    if (result == STATUS_NOT_FOUND) {
        FAIL(STATUS_INPUT, "%s: no checkpoint verifies: %s", run->folder.path, skipped->text);
    }
    TRY(result);
    TRY_TO(done, result, state_check(file, path, &run->description));
    const struct state_parts parts = parts_of(run);
    TRY_TO(done, result, state_load(&run->state, &parts, file, path));
    skipped->exchange = !state_fits_exchange(&parts, file);
    *resumed = true;
done:
    safetensors_close(file);
    free(path);
    return result;
}

static status load_from(struct run *run, struct skipped *skipped) {
    struct safetensors_file *file;
    char *path;
    status result =
        checkpoint_open(&file, &path, run->recipe->train.from, remember_skipped, skipped);
    if (result != STATUS_OK) {
        return status_prefix(result, "train.from");
    }
    result = state_load_weights(run->net, file, path, false, &run->recipe->train.from_new);
    safetensors_close(file);
    free(path);
    return result;
}

/* recipe.yaml: everything resolved, so that the run can be done again without its sources. */
static status write_recipe(const struct run *run) {
    char *path;
    TRY(path_join(&path, run->folder.path, "recipe.yaml"));
    struct atomic_file file;
    status result = atomic_file_open(&file, path);
    if (result == STATUS_OK) {
        recipe_write(file.stream, run->recipe);
        result = atomic_file_commit(&file);
    }
    free(path);
    return result;
}

/* Nothing in the folder changes before the checks are through. */
static status load(bool *resumed, struct run *run, struct skipped *skipped) {
    const struct run_options *options = run->options;
    *resumed = false;
    TRY(run_folder_open(&run->folder, options->folder, options->recipe_path, options->resume));
    if (options->resume) {
        TRY(resume(resumed, run, skipped));
    }
    if (!*resumed && run->recipe->train.from != NULL) {
        TRY(load_from(run, skipped));
    }
    if (options->resume) {
        TRY(log_metrics_truncate(run->folder.path, *resumed ? run->state.step : -1));
    }
    TRY(log_open(&run->log, run->folder.path, *resumed, options->quiet));
    watch_set_log(run->job.watch, run->log);
    if (skipped->text != NULL) {
        log_warning(run->log, "passing over damaged checkpoints: %s", skipped->text);
    }
    if (skipped->exchange) {
        log_warning(run->log,
            "exchange.wire: the checkpoint is of another number of nodes: what was "
            "left out on them is dropped");
    }
    return write_recipe(run);
}

status run_load(struct run *run) {
    struct skipped skipped = {0};
    bool resumed = false;
    status mine = STATUS_OK;
    const int64_t steps = run->state.steps;
    if (run->job.rank == 0) {
        mine = load(&resumed, run, &skipped);
        free(skipped.text);
        TRY(step_end_service(run->step));
    } else {
        mine = step_serve(run->step);
    }
    TRY(job_agree(&run->job, mine));
    job_broadcast(&run->job, &run->state, sizeof run->state);
    TRY(step_spread_weights(run->step));
    const int64_t planned = run->state.steps;
    run->state.steps = steps;
    run_log_start(run, resumed);
    TRY(run_log_cores(run));
    if (run->log != NULL && step_problem(run->step) != NULL) {
        log_warning(run->log, "ranks of a node share no memory, which costs time and memory: %s",
            step_problem(run->step));
    }
    if (run->log != NULL && planned != steps) {
        log_line(run->log,
            "planned for %" PRId64 " steps so far, now for %" PRId64
            ": the schedule goes on as if it had been so from the start",
            planned, steps);
    }
    return STATUS_OK;
}
