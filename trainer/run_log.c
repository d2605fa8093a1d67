#include "trainer/run.h"
#include "trainer/version.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

double run_clock(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* What fails is pending: the loop goes on to the next agreement. */
void run_log_metrics(struct run *run, json_t *object) {
    char *text = json_dumps(object, JSON_COMPACT | JSON_REAL_PRECISION(9));
    json_decref(object);
    status result = text != NULL ? log_metrics(run->log, text)
                                 : status_fail(STATUS_SYSTEM, __FILE__, __LINE__, __func__,
                                       "no memory for a line of metrics.jsonl");
    free(text);
    if (run->pending == STATUS_OK) {
        run->pending = result;
    }
}

/* How many leaves each rank has, and how much of the time none is idle for want of them. */
static void log_fit(struct run *run) {
    int leaves = recipe_leaves(run->recipe), ranks = run->job.ranks;
    int fewest = leaves, most = 0;
    for (int r = 0; r < ranks; r++) {
        int mine = tree_rank_leaves(r, ranks, leaves);
        fewest = mine < fewest ? mine : fewest;
        most = mine > most ? mine : most;
    }
    char range[48];
    snprintf(range, sizeof range, fewest == most ? "%d" : "%d to %d", fewest, most);
    log_line(run->log,
        "batch %" PRId64 " = %d leaves of %" PRId64 ", %s leaves a rank: ranks are busy %.0f %% of "
        "the time%s",
        run->recipe->train.batch, leaves, run->recipe->train.leaf, range,
        100.0 * leaves / ((double)ranks * most),
        tree_is_power_of_two(ranks) ? "" : "; a power of two also sends fewer bytes");
}

/* Open MPI must see that a host is lost before the heartbeat does, and takes four seconds for it
 * (docs/clusters.md). */
static void log_heartbeat(struct run *run) {
    const double seconds = run->recipe->watch.heartbeat_seconds;
    if (run->job.transport->nodes > 1 && seconds > 0 && seconds < RECIPE_HEARTBEAT_HOSTS) {
        log_warning(run->log,
            "watch.heartbeat_seconds = %g is short for several hosts: where one is cut off, mpirun "
            "may wait for it for minutes; leave it at %d or more",
            seconds, RECIPE_HEARTBEAT_HOSTS);
    }
}

/* What was asked for at the price of the same bits, and what these now depend on. */
static void log_other_bits(struct run *run) {
    const struct recipe_exchange *exchange = &run->recipe->exchange;
    if (exchange->algorithm != EXCHANGE_TREE) {
        log_line(run->log,
            "exchange.algorithm: %s: the bits of the weights depend on the number of ranks%s",
            exchange->algorithm == EXCHANGE_NATIVE ? "native" : "ring",
            exchange->algorithm == EXCHANGE_NATIVE ? " and on the MPI" : "");
    }
    if (run->recipe->train.local_steps > 1) {
        log_line(run->log,
            "train.local_steps: %" PRId64 ": each rank takes so many steps by itself, then weights "
            "are averaged: their bits depend on the number of ranks",
            run->recipe->train.local_steps);
    }
    if (exchange->wire == EXCHANGE_BF16) {
        log_line(run->log,
            "exchange.wire: bf16: the bits of the weights depend on how the leaves lie on nodes%s",
            step_vector_count(run->step) > optimizer_vector_count(run->optimizer)
                ? ""
                : "; all ranks are on one, where nothing is sent");
    }
}

void run_log_start(struct run *run, bool resumed) {
    const double now = run_clock();
    run->counts.started = run->counts.epoch_started = run->counts.step_ended = now;
    if (run->log == NULL) {
        return;
    }
    const struct dataset_information *data = run->training.information;
    const struct net_memory memory = net_memory_report(run->net);
    const double mib = 1024 * 1024;
    log_line(
        run->log, "convoy %s (%s), run %s", version_number(), version_identity(), run->folder.path);
    const bool by_thread = step_get_progress(run->step) == EXCHANGE_THREAD;
    log_line(run->log, "%d rank%s with %d thread%s each%s", run->job.ranks,
        run->job.ranks == 1 ? "" : "s", run->threads, run->threads == 1 ? "" : "s",
        by_thread ? ", and one that moves the exchange on below backward"
        : run->job.ranks > 1 && run->recipe->train.local_steps == 1
            ? ", which move the exchange on between kernels"
            : "");
    log_line(run->log,
        "training on %" PRId64 " pictures of %d classes (%s), %" PRId64 " steps an epoch, %" PRId64
        " in all",
        data->records, data->classes, run->recipe->data.train, run->state.steps_per_epoch,
        run->state.steps);
    run_log_stage(run);
    log_fit(run);
    log_other_bits(run);
    log_heartbeat(run);
    log_line(run->log, "memory a rank: weights %.1f MiB, activations %.1f MiB, scratch %.1f MiB",
        (double)memory.weights / mib, (double)memory.activations / mib,
        (double)memory.scratch / mib);
    if (resumed) {
        log_line(run->log, "going on after step %" PRId64, run->state.step);
    }
    run_log_metrics(run,
        json_pack("{s:s, s:I, s:I, s:i, s:i, s:s, s:s, s:b}", "event", "start", "step",
            (json_int_t)run->state.step, "steps", (json_int_t)run->state.steps, "ranks",
            run->job.ranks, "threads", run->threads, "progress", by_thread ? "thread" : "inline",
            "version", version_number(), "resumed", (int)resumed));
}

static void update_speed(struct run_counts *counts, int64_t pictures, double *last) {
    double now = run_clock(), seconds = now - *last;
    *last = now;
    double speed = seconds > 0 ? (double)pictures / seconds : 0;
    const double keep = 0.9;
    counts->pictures_per_second = counts->pictures_per_second > 0
                                      ? keep * counts->pictures_per_second + (1 - keep) * speed
                                      : speed;
}

void run_log_step(struct run *run, const struct decision *decision, int64_t pictures) {
    const struct step_metrics metrics = step_get_metrics(run->step);
    struct run_counts *counts = &run->counts;
    counts->epoch.pictures += metrics.pictures;
    counts->epoch.correct += metrics.correct;
    counts->epoch.loss += metrics.loss;
    if (run->log == NULL) {
        return;
    }
    update_speed(counts, pictures, &counts->step_ended);
    const struct state *state = &run->state;
    const double loss = metrics.loss / (double)metrics.pictures;
    const struct log_progress progress = {
        .epoch = (state->step - 1) / state->steps_per_epoch + 1,
        .epochs = (state->steps + state->steps_per_epoch - 1) / state->steps_per_epoch,
        .step = state->step,
        .steps = state->steps,
        .loss = loss,
        .rate = decision->rate,
        .pictures_per_second = counts->pictures_per_second,
        .seconds_left = (double)(state->steps - state->step) * (double)run->recipe->train.batch /
                        counts->pictures_per_second,
    };
    log_progress(run->log, &progress);
    run_log_metrics(run, json_pack("{s:s, s:I, s:I, s:I, s:f, s:f, s:f, s:f}", "event", "step",
                             "step", (json_int_t)state->step, "epoch", (json_int_t)progress.epoch,
                             "pictures", (json_int_t)metrics.pictures, "loss", loss, "accuracy",
                             (double)metrics.correct / (double)metrics.pictures, "rate",
                             decision->rate, "pictures_per_second", counts->pictures_per_second));
}

void run_log_epoch(struct run *run) {
    const struct step_metrics sums = run->counts.epoch;
    const double now = run_clock(), seconds = now - run->counts.epoch_started;
    run->counts.epoch = (struct step_metrics){0};
    run->counts.epoch_started = now;
    if (run->log == NULL) {
        return;
    }
    const int64_t epoch = run->state.step / run->state.steps_per_epoch;
    log_progress_end(run->log);
    log_line(run->log, "epoch %" PRId64 ": loss %.4f, accuracy %.2f %%, %.0f pictures/s, %.1f s",
        epoch, sums.loss / (double)sums.pictures,
        100 * (double)sums.correct / (double)sums.pictures, (double)sums.pictures / seconds,
        seconds);
    run_log_metrics(
        run, json_pack("{s:s, s:I, s:I, s:I, s:f, s:f, s:f}", "event", "epoch", "step",
                 (json_int_t)run->state.step, "epoch", (json_int_t)epoch, "pictures",
                 (json_int_t)sums.pictures, "loss", sums.loss / (double)sums.pictures, "accuracy",
                 (double)sums.correct / (double)sums.pictures, "seconds", seconds));
}

void run_log_validation(struct run *run, bool best) {
    const double now = run_clock();
    run->counts.step_ended = run->counts.epoch_started = now;
    run_ranks_begin(run);
    if (run->log == NULL) {
        return;
    }
    const struct figures *figures = &run->figures;
    log_progress_end(run->log);
    log_line(run->log, "validation after step %" PRId64 ": loss %.4f, accuracy %.2f %%%s",
        run->state.step, figures->loss, 100 * figures->accuracy, best ? ", the best so far" : "");
    /* JSON has no number for what is not finite. */
    json_t *loss = isfinite(figures->loss) ? json_real(figures->loss) : json_null();
    run_log_metrics(run,
        json_pack("{s:s, s:I, s:I, s:o, s:f, s:f, s:b}", "event", "validation", "step",
            (json_int_t)run->state.step, "pictures", (json_int_t)figures->pictures, "loss", loss,
            "accuracy", figures->accuracy, "accuracy_5", figures->accuracy_5, "best", (int)best));
}
