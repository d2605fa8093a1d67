/* What each rank did, told on rank 0: in figures at the end, and once an epoch who is the slowest.
 */
#include "trainer/run.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* What each rank did, told to rank 0: plain bytes. */
struct rank_line {
    char host[64];
    int rank;
    int64_t records, bad_records, bytes_sent, bytes_expected;
    struct rank_times times;
};

static void fill_line(struct rank_line *line, const struct run *run) {
    *line = (struct rank_line){.rank = run->job.rank,
        .bytes_sent = run->counts.bytes_sent,
        .bytes_expected = run->counts.bytes_expected};
    snprintf(line->host, sizeof line->host, "%s", run->job.transport->host);
    if (run->loader != NULL) {
        const struct loader_counts counts = loader_get_counts(run->loader);
        line->records = counts.records;
        line->bad_records = counts.bad_records;
        line->times.input = counts.seconds_waited;
    }
    const struct step_times times = step_get_times(run->step);
    line->times.compute = times.compute;
    line->times.waiting = times.waiting;
}

static json_t *rank_json(struct run *run, const struct rank_line *line) {
    log_line(run->log,
        "rank %d (%s): %" PRId64 " records read, %" PRId64 " bytes sent; seconds: %.1f waiting "
        "for input, %.1f computing, %.1f waiting for others",
        line->rank, line->host, line->records, line->bytes_sent, line->times.input,
        line->times.compute, line->times.waiting);
    if (line->bad_records > 0) {
        log_warning(run->log, "rank %d: %" PRId64 " bad records were skipped", line->rank,
            line->bad_records);
    }
    return json_pack("{s:i, s:s, s:I, s:I, s:I, s:I, s:f, s:f, s:f}", "rank", line->rank, "host",
        line->host, "records", (json_int_t)line->records, "bad_records",
        (json_int_t)line->bad_records, "bytes_sent", (json_int_t)line->bytes_sent, "bytes_expected",
        (json_int_t)line->bytes_expected, "seconds_input", line->times.input, "seconds_compute",
        line->times.compute, "seconds_waiting", line->times.waiting);
}

static int by_rank(const void *a, const void *b) {
    const struct rank_line *left = a, *right = b;
    return left->rank < right->rank ? -1 : left->rank > right->rank;
}

/* Brings everyone's line to rank 0, in the order of ranks; *lines NULL elsewhere. */
static status gather(struct rank_line **lines, const struct rank_line *mine, struct run *run) {
    *lines = NULL;
    if (run->job.rank == 0 && run->pending == STATUS_OK) {
        run->pending = MEMORY_ALLOCATE(lines, (size_t)run->job.ranks);
    }
    status result = job_agree(&run->job, run->pending);
    if (result != STATUS_OK) {
        free(*lines);
        *lines = NULL;
        return result;
    }
    job_gather(&run->job, *lines, mine, sizeof *mine);
    if (*lines != NULL) {
        qsort(*lines, (size_t)run->job.ranks, sizeof **lines, by_rank);
    }
    return STATUS_OK;
}

status run_log_ranks(struct run *run) {
    struct rank_line mine, *lines;
    fill_line(&mine, run);
    TRY(gather(&lines, &mine, run));
    if (lines == NULL) {
        return STATUS_OK;
    }
    log_progress_end(run->log);
    json_t *list = json_array();
    for (int r = 0; r < run->job.ranks; r++) {
        json_array_append_new(list, rank_json(run, &lines[r]));
    }
    free(lines);
    run_log_metrics(
        run, json_pack("{s:s, s:I, s:f, s:i, s:o}", "event", "ranks", "step",
                 (json_int_t)run->state.step, "seconds", run_clock() - run->counts.started,
                 "buckets_in_flight", step_most_in_flight(run->step), "ranks", list));
    return STATUS_OK;
}

/* ---- once an epoch ---- */

void run_ranks_begin(struct run *run) {
    struct rank_line now;
    fill_line(&now, run);
    run->counts.times = now.times;
}

static void say_straggler(struct run *run, const struct straggler *found, const char *host) {
    const struct rank_times *slowest = &found->slowest, *others = &found->others;
    static const char *const even[] = {[STRAGGLER_INPUT] = "waiting for input",
        [STRAGGLER_COMPUTE] = "computing",
        [STRAGGLER_WAITING] = "waiting for each other"};
    if (found->stands_out) {
        log_line(run->log,
            "slowest is rank %d (%s) by %s: %.1f s input, %.1f s computing, %.1f s waiting; the "
            "others %.1f, %.1f, %.1f s",
            found->rank, host, straggler_cause_name(found->cause), slowest->input, slowest->compute,
            slowest->waiting, others->input, others->compute, others->waiting);
    } else {
        log_line(run->log,
            "%s most of the time: %.1f s input, %.1f s computing, %.1f s waiting for others",
            even[found->cause], slowest->input, slowest->compute, slowest->waiting);
    }
}

static json_t *times_json(const struct rank_times *times) {
    return json_pack("{s:f, s:f, s:f}", "input", times->input, "compute", times->compute, "waiting",
        times->waiting);
}

static status tell_stragglers(struct run *run, const struct rank_line *lines) {
    const int ranks = run->job.ranks;
    struct straggler found;
    struct rank_times *times;
    TRY(MEMORY_ALLOCATE(&times, (size_t)ranks));
    json_t *list = json_array();
    for (int r = 0; r < ranks; r++) {
        times[r] = lines[r].times;
        json_array_append_new(list, times_json(&times[r]));
    }
    status result = straggler_find(&found, times, ranks);
    free(times);
    if (result != STATUS_OK) {
        json_decref(list);
        return result;
    }
    say_straggler(run, &found, lines[found.rank].host);
    run_log_metrics(run, json_pack("{s:s, s:I, s:I, s:i, s:s, s:s, s:b, s:o, s:o}", "event",
                             "stragglers", "step", (json_int_t)run->state.step, "epoch",
                             (json_int_t)(run->state.step / run->state.steps_per_epoch), "slowest",
                             found.rank, "host", lines[found.rank].host, "cause",
                             straggler_cause_name(found.cause), "stands_out", (int)found.stands_out,
                             "others", times_json(&found.others), "ranks", list));
    return STATUS_OK;
}

status run_log_stragglers(struct run *run) {
    const struct rank_times *before = &run->counts.times;
    struct rank_line mine, *lines;
    fill_line(&mine, run);
    mine.times.input -= before->input;
    mine.times.compute -= before->compute;
    mine.times.waiting -= before->waiting;
    TRY(gather(&lines, &mine, run));
    if (lines != NULL && run->pending == STATUS_OK) {
        run->pending = tell_stragglers(run, lines);
    }
    free(lines);
    run_ranks_begin(run);
    return STATUS_OK;
}
