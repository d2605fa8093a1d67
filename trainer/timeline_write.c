/* From every rank's events to one file. */
#include "trainer/clocks.h"
#include "trainer/timeline_internal.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

/* What a rank sends before its events: plain bytes. */
struct heading {
    char host[64];
    int32_t count, lost;
};

static struct heading heading_of(const struct timeline *timeline) {
    const int came = atomic_load(&timeline->count);
    const int count = came < TIMELINE_EVENTS ? came : TIMELINE_EVENTS;
    struct heading heading = {.count = count, .lost = came - count};
    snprintf(heading.host, sizeof heading.host, "%s", timeline->transport->host);
    return heading;
}

/* By beginning, and what holds others before them. */
static int by_time(const void *a, const void *b) {
    const struct timeline_event *left = a, *right = b;
    if (left->from != right->from) {
        return left->from < right->from ? -1 : 1;
    }
    return left->until > right->until ? -1 : left->until < right->until;
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

static void write_event(FILE *out, const struct timeline *timeline,
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

static void write_rank(FILE *out, const struct timeline *timeline, const struct heading *heading,
    const struct timeline_event *events, int rank, double start) {
    char name[96];
    snprintf(name, sizeof name, "rank %d (%s)", rank, heading->host);
    fprintf(out, "%s\n{\"ph\":\"M\",\"name\":\"process_name\",\"pid\":%d,\"args\":{\"name\":",
        rank > 0 ? "," : "", rank);
    write_text(out, name);
    fprintf(out,
        "}},\n{\"ph\":\"M\",\"name\":\"process_sort_index\",\"pid\":%d,\"args\":{\"sort_index\":%d}"
        "}",
        rank, rank);
    for (int e = 0; e < heading->count; e++) {
        write_event(out, timeline, &events[e], rank, start);
    }
}

static status receive_rank(
    struct heading *heading, struct timeline_event *events, struct transport *transport, int peer) {
    TRY(transport_receive(transport, peer, TRANSPORT_TAG_TIMELINE, heading, sizeof *heading));
    if (heading->count < 0 || heading->count > TIMELINE_EVENTS) {
        FAIL(STATUS_PEER, "rank %d tells of %d events of its timeline", peer, heading->count);
    }
    return transport_receive(
        transport, peer, TRANSPORT_TAG_TIMELINE, events, (size_t)heading->count * sizeof *events);
}

static status write_all(struct timeline *timeline, struct log *log, const struct heading *mine) {
    struct transport *transport = timeline->transport;
    FILE *out = timeline->file.stream;
    const double start = timeline->began;
    int64_t lost = mine->lost;
    fputs("{\"displayTimeUnit\":\"ms\",\"traceEvents\":[", out);
    write_rank(out, timeline, mine, timeline->events, 0, start);
    for (int peer = 1; peer < transport->ranks; peer++) {
        struct heading heading;
        TRY(receive_rank(&heading, timeline->others, transport, peer));
        write_rank(out, timeline, &heading, timeline->others, peer, start);
        lost += heading.lost;
    }
    fputs("\n]}\n", out);
    timeline->open = false;
    TRY(atomic_file_commit(&timeline->file));
    if (log != NULL && lost > 0) {
        log_warning(log, "the timeline is full: it ends with step %" PRId64 " of rank 0",
            mine->count > 0 ? timeline->events[mine->count - 1].step + 1 : 0);
    }
    return STATUS_OK;
}

status timeline_write(struct timeline *timeline, struct log *log) {
    struct transport *transport = timeline->transport;
    activity_set_viewer(transport->activity, NULL); /* what comes now is not of the training */
    net_set_watch(timeline->net, NULL);
    double offset;
    TRY(clocks_compare(&offset, transport));
    const double seconds = activity_clock() - timeline->began;
    timeline->drift = seconds > 0 ? (offset - timeline->offset) / seconds : 0;
    const struct heading heading = heading_of(timeline);
    to_common_clock(timeline, heading.count);
    qsort(timeline->events, (size_t)heading.count, sizeof *timeline->events, by_time);
    if (transport->rank == 0) {
        return write_all(timeline, log, &heading);
    }
    TRY(transport_send(transport, 0, TRANSPORT_TAG_TIMELINE, &heading, sizeof heading));
    return transport_send(transport, 0, TRANSPORT_TAG_TIMELINE, timeline->events,
        (size_t)heading.count * sizeof *timeline->events);
}
