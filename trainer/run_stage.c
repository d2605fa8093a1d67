/* Where the shards are read from: where they lie, or copies on the node. */
#include "io/file_system.h"
#include "trainer/run.h"
#include "worker/exchange/agreement.h"

#include <stdlib.h>
#include <string.h>

static bool is_staged(const struct recipe_data *data) {
    return data->stage != NULL && strcmp(data->stage, RECIPE_STAGE_IN_PLACE) != 0;
}

/* LMDB reads page by page where a record happens to lie: over a network each is a round trip, and a
 * server that stumbles is a SIGBUS. */
static status check_place(const struct recipe_data *data, const char *folder) {
    struct file_system system;
    TRY(file_system_find(&system, folder));
    if (system.network && data->stage == NULL) {
        FAIL(STATUS_USAGE,
            "%s lies on a network file system (%s): data.stage=/dev/shm copies the shards that a "
            "node needs into its memory first, and data.stage=" RECIPE_STAGE_IN_PLACE
            " reads them over the network all the same",
            folder, system.name);
    }
    return STATUS_OK;
}

/* The shards that the ranks of this node read; freed by free(). */
static status find_needed(bool **needed, const struct job *job, const struct order *order) {
    const struct transport *transport = job->transport;
    const int first_rank = transport->rank - transport->node_rank;
    const int last_rank = first_rank + transport->node_ranks - 1;
    const int first = tree_rank_first(first_rank, job->ranks, order->leaves);
    const int end = tree_rank_first(last_rank, job->ranks, order->leaves) +
                    tree_rank_leaves(last_rank, job->ranks, order->leaves);
    TRY(MEMORY_ALLOCATE(needed, (size_t)order->shards));
    for (int shard = 0; shard < order->shards; shard++) {
        (*needed)[shard] = order_needs_shard(order, first, end, shard);
    }
    return STATUS_OK;
}

/* Before the run's folder is open: on the console alone. */
static void say_copies(
    struct log *log, const struct run *run, const struct feed *feed, const bool *needed) {
    const int nodes = run->job.transport->nodes;
    int shards = 0;
    for (int shard = 0; shard < feed->order.shards; shard++) {
        shards += needed[shard];
    }
    log_line(log, "staging: copies of %d of the %d shards of %s in %s%s", shards,
        feed->order.shards, dataset_get_folder(feed->dataset), run->recipe->data.stage,
        nodes > 1 ? ", and what the other nodes need in theirs" : "");
}

/* The rank works, however long it takes. */
static status copy(
    struct stage **stage, const struct run *run, const struct feed *feed, const bool *needed) {
    const struct activity_now before = activity_enter(run->job.activity, ACTIVITY_STAGING, -1);
    status result = stage_create(stage, run->recipe->data.stage, feed->dataset, needed);
    activity_leave(run->job.activity, before);
    return result;
}

static status make_copies(struct stage **stage, bool **needed, struct log *log,
    const struct run *run, const struct feed *feed) {
    const struct recipe_data *data = &run->recipe->data;
    TRY(check_place(data, dataset_get_folder(feed->dataset)));
    if (!is_staged(data)) {
        return STATUS_OK;
    }
    TRY(find_needed(needed, &run->job, &feed->order));
    if (log != NULL) {
        say_copies(log, run, feed, *needed);
    }
    return run->job.transport->node_rank == 0 ? copy(stage, run, feed, *needed) : STATUS_OK;
}

static status use_copies(const struct run *run, const struct feed *feed, const bool *needed) {
    const struct recipe_data *data = &run->recipe->data;
    if (!is_staged(data)) {
        return STATUS_OK;
    }
    char *folder;
    TRY(stage_folder(&folder, data->stage, feed->dataset));
    status result = dataset_use_copies(feed->dataset, folder, needed);
    free(folder);
    return result;
}

static status stage_feed(
    struct run *run, struct log *log, const struct feed *feed, struct stage **stage) {
    bool *needed = NULL;
    status result = agreement_status_in(
        ACTIVITY_COPIES, run->job.transport, make_copies(stage, &needed, log, run, feed));
    if (result == STATUS_OK) {
        result = job_agree(&run->job, use_copies(run, feed, needed));
    }
    free(needed);
    return result;
}

static status stage_feeds(struct run *run, struct log *log) {
    TRY(stage_feed(run, log, &run->training, &run->stage[0]));
    return run->validation.dataset != NULL ? stage_feed(run, log, &run->validation, &run->stage[1])
                                           : STATUS_OK;
}

status run_stage(struct run *run) {
    struct log *log = NULL;
    TRY(job_agree(&run->job,
        run->job.rank == 0 ? log_open(&log, NULL, false, run->options->quiet) : STATUS_OK));
    watch_set_log(run->job.watch, log);
    status result = stage_feeds(run, log);
    watch_set_log(run->job.watch, NULL);
    log_close(log);
    return result;
}

void run_log_stage(struct run *run) {
    for (int s = 0; s < 2 && run->log != NULL; s++) {
        if (run->stage[s] != NULL) {
            const struct stage_counts counts = stage_get_counts(run->stage[s]);
            log_line(run->log,
                "%s read from copies in %s: %d shards copied, %d found there, %.1f MiB on this "
                "node",
                s == 0 ? "training set" : "validation set", run->recipe->data.stage, counts.copied,
                counts.found, (double)counts.bytes / (1024 * 1024));
        }
    }
}
