/* From every rank's events to one file. */
#include "io/file.h"
#include "trainer/clocks.h"
#include "trainer/timeline_internal.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

struct timeline_heading timeline_head(struct timeline *timeline) {
    pthread_mutex_lock(&timeline->lock);
    const int came = timeline->count;
    pthread_mutex_unlock(&timeline->lock);
    const int count = came < TIMELINE_EVENTS ? came : TIMELINE_EVENTS;
    struct timeline_heading heading = {.count = count, .lost = came - count};
    snprintf(heading.host, sizeof heading.host, "%s", timeline->transport->host);
    return heading;
}

static int by_time(const void *a, const void *b) {
    const struct timeline_event *left = a, *right = b;
    if (left->from != right->from) {
        return left->from < right->from ? -1 : 1;
    }
    return left->until > right->until ? -1 : left->until < right->until;
}

void timeline_sort(struct timeline *timeline, int count) {
    qsort(timeline->events, (size_t)count, sizeof *timeline->events, by_time);
}

static void to_common_clock(struct timeline *timeline, int count) {
    for (int e = 0; e < count; e++) {
        struct timeline_event *event = &timeline->events[e];
        const double from = event->from - timeline->began;
        const double until = event->until - timeline->began;
        event->from += timeline->offset + timeline->drift * from;
        event->until += timeline->offset + timeline->drift * until;
    }
}

static void write_text(FILE *out, const char *text) {
    json_t *string = json_string(text);
    char *quoted = string != NULL ? json_dumps(string, JSON_ENCODE_ANY) : NULL;
    fputs(quoted != NULL ? quoted : "\"?\"", out);
    free(quoted);
    json_decref(string);
}

static void write_name(
    FILE *out, const struct timeline *timeline, const struct timeline_event *event) {
    static const char *const parts[] = {[NET_PART_INPUT] = "load pictures",
        [NET_PART_FORWARD] = "forward",
        [NET_PART_LOSS] = "loss",
        [NET_PART_WEIGHTS] = "backward (weights)",
        [NET_PART_BACKWARD] = "backward",
        [NET_PART_HOOKS] = "exchange moves on"};
    if (event->part == TIMELINE_NO_PART) {
        write_text(out, activity_name((enum activity_phase)event->phase));
    } else if (event->detail < 0 || event->part == NET_PART_HOOKS) {
        write_text(out, parts[event->part]);
    } else {
        write_text(out, net_layer_report(timeline->net, event->detail).name);
    }
}

#define MICRO 1e6

void timeline_write_event(FILE *out, const struct timeline *timeline,
    const struct timeline_event *event, int rank, double start) {
    const double from = (event->from - start) * MICRO, until = (event->until - start) * MICRO;
    if (event->phase == ACTIVITY_BUCKET) {
        for (int end = 0; end < 2; end++) {
            fprintf(out,
                ",\n{\"ph\":\"%s\",\"cat\":\"bucket\",\"name\":\"bucket %d\",\"id\":\"%d-%" PRId64
                "-%d\",\"pid\":%d,\"tid\":0,\"ts\":%.3f,\"args\":{\"step\":%" PRId64 "}}",
                end == 0 ? "b" : "e", event->detail, rank, event->step, event->detail, rank,
                end == 0 ? from : until, event->step + 1);
        }
        return;
    }
    fputs(",\n{\"ph\":\"X\",\"name\":", out);
    write_name(out, timeline, event);
    fprintf(out,
        ",\"cat\":\"%s\",\"pid\":%d,\"tid\":0,\"ts\":%.3f,\"dur\":%.3f,\"args\":{\"step\":%" PRId64
        "}}",
        event->part == TIMELINE_NO_PART ? "phase" : "layer", rank, from, until - from,
        event->step + 1);
}

void timeline_write_rank(FILE *out, const struct timeline *timeline,
    const struct timeline_heading *heading, const struct timeline_event *events, int rank,
    double start) {
    char name[96];
    snprintf(name, sizeof name, "rank %d (%s)", rank, heading->host);
    fprintf(out, "\n{\"ph\":\"M\",\"name\":\"process_name\",\"pid\":%d,\"args\":{\"name\":", rank);
    write_text(out, name);
    fprintf(out,
        "}},\n{\"ph\":\"M\",\"name\":\"process_sort_index\",\"pid\":%d,\"args\":{\"sort_index\":%d}"
        "}",
        rank, rank);
    for (int e = 0; e < heading->count; e++) {
        timeline_write_event(out, timeline, &events[e], rank, start);
    }
}

static status receive_rank(struct timeline_heading *heading, struct timeline_event *events,
    struct transport *transport, int peer) {
    TRY(transport_receive(transport, peer, TRANSPORT_TAG_TIMELINE, heading, sizeof *heading));
    if (heading->count < 0 || heading->count > TIMELINE_EVENTS) {
        FAIL(STATUS_PEER, "rank %d tells of %d events of its timeline", peer, heading->count);
    }
    return transport_receive(
        transport, peer, TRANSPORT_TAG_TIMELINE, events, (size_t)heading->count * sizeof *events);
}

static status write_ranks(
    struct timeline *timeline, int64_t *lost, FILE *out, const struct timeline_heading *mine) {
    struct transport *transport = timeline->transport;
    fputs(TIMELINE_HEAD, out);
    timeline_write_rank(out, timeline, mine, timeline->events, 0, timeline->start);
    *lost = mine->lost;
    for (int peer = 1; peer < transport->ranks; peer++) {
        struct timeline_heading heading;
        TRY(receive_rank(&heading, timeline->others, transport, peer));
        fputc(',', out);
        timeline_write_rank(out, timeline, &heading, timeline->others, peer, timeline->start);
        *lost += heading.lost;
    }
    fputs(TIMELINE_TAIL, out);
    return STATUS_OK;
}

static status write_all(
    struct timeline *timeline, struct log *log, const struct timeline_heading *mine) {
    struct atomic_file file;
    int64_t lost;
    TRY(atomic_file_open(&file, timeline->path));
    status result;
    TRY_TO(done, result, write_ranks(timeline, &lost, file.stream, mine));
    TRY_TO(done, result, atomic_file_commit(&file));
    if (log != NULL && lost > 0) {
        log_warning(log, "the timeline is full: it ends with step %" PRId64 " of rank 0",
            mine->count > 0 ? timeline->events[mine->count - 1].step + 1 : 0);
    }
done:
    atomic_file_abandon(&file);
    return result;
}

static status write_together(struct timeline *timeline, struct log *log) {
    struct transport *transport = timeline->transport;
    double offset;
    TRY(clocks_compare(&offset, transport));
    const double seconds = activity_clock() - timeline->began;
    timeline->drift = seconds > 0 ? (offset - timeline->offset) / seconds : 0;
    const struct timeline_heading heading = timeline_head(timeline);
    to_common_clock(timeline, heading.count);
    timeline_sort(timeline, heading.count);
    if (transport->rank == 0) {
        return write_all(timeline, log, &heading);
    }
    TRY(transport_send(transport, 0, TRANSPORT_TAG_TIMELINE, &heading, sizeof heading));
    return transport_send(transport, 0, TRANSPORT_TAG_TIMELINE, timeline->events,
        (size_t)heading.count * sizeof *timeline->events);
}

status timeline_write(struct timeline *timeline, struct log *log) {
    activity_set_viewer(timeline->transport->activity, NULL); /* what comes is no training */
    net_set_watch(timeline->net, NULL);
    pthread_mutex_lock(&timeline->writing);
    timeline->left = true; /* its events are on another clock now */
    const status result = write_together(timeline, log);
    pthread_mutex_unlock(&timeline->writing);
    return result;
}
