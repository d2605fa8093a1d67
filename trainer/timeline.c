#include "trainer/timeline.h"

#include "base/memory.h"
#include "io/file.h"
#include "trainer/clocks.h"
#include "trainer/timeline_internal.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void record(struct timeline *timeline, struct timeline_event event) {
    pthread_mutex_lock(&timeline->lock);
    if (timeline->count < TIMELINE_EVENTS) {
        timeline->events[timeline->count] = event;
    }
    timeline->count += timeline->count < INT32_MAX;
    pthread_mutex_unlock(&timeline->lock);
}

static void see_span(void *context, const struct activity_now *span, double until) {
    record(context, (struct timeline_event){.from = span->since,
                        .until = until,
                        .step = span->step,
                        .detail = (int32_t)span->detail,
                        .phase = (int16_t)span->phase,
                        .part = TIMELINE_NO_PART});
}

/* A part took the time since the one before, or since its phase began. */
static void see_part(void *context, int layer, enum net_part part) {
    struct timeline *timeline = context;
    const struct activity_now now = activity_get(timeline->transport->activity);
    const double until = activity_clock();
    record(timeline,
        (struct timeline_event){.from = timeline->last > now.since ? timeline->last : now.since,
            .until = until,
            .step = now.step,
            .detail = layer,
            .phase = (int16_t)now.phase,
            .part = (int16_t)part});
    timeline->last = until;
}

/* A run of hours is not to find out at its end. */
static status try_to_write(const char *path) {
    struct atomic_file file;
    TRY(atomic_file_open(&file, path));
    atomic_file_abandon(&file);
    return STATUS_OK;
}

status timeline_open(
    struct timeline **timeline, const char *path, struct transport *transport, struct net *net) {
    struct timeline *own;
    TRY(MEMORY_ALLOCATE(&own, 1));
    *timeline = own;
    own->transport = transport;
    own->net = net;
    pthread_mutex_init(&own->lock, NULL);
    pthread_mutex_init(&own->writing, NULL);
    own->viewer = (struct activity_viewer){.span = see_span, .context = own};
    own->net_watch = (struct net_watch){.done = see_part, .context = own};
    TRY(MEMORY_ALLOCATE(&own->events, TIMELINE_EVENTS));
    if (transport->rank == 0) {
        TRY(MEMORY_ALLOCATE(&own->others, TIMELINE_EVENTS));
        TRY(try_to_write(path));
    }
    own->path = strdup(path);
    if (own->path == NULL) {
        FAIL(STATUS_SYSTEM, "no memory for a path");
    }
    unlink(path);
    activity_set_viewer(transport->activity, &own->viewer);
    net_set_watch(net, &own->net_watch);
    return STATUS_OK;
}

status timeline_begin(struct timeline *timeline) {
    TRY(clocks_compare(&timeline->offset, timeline->transport));
    timeline->began = timeline->start = activity_clock();
    struct transport *transport = timeline->transport;
    if (transport->rank != 0) {
        return transport_receive(
            transport, 0, TRANSPORT_TAG_CLOCK, &timeline->start, sizeof timeline->start);
    }
    for (int peer = 1; peer < transport->ranks; peer++) {
        TRY(transport_send(
            transport, peer, TRANSPORT_TAG_CLOCK, &timeline->start, sizeof timeline->start));
    }
    return STATUS_OK;
}

void timeline_close(struct timeline *timeline) {
    if (timeline == NULL) {
        return;
    }
    activity_set_viewer(timeline->transport->activity, NULL);
    net_set_watch(timeline->net, NULL);
    pthread_mutex_destroy(&timeline->lock);
    pthread_mutex_destroy(&timeline->writing);
    free(timeline->path);
    free(timeline->others);
    free(timeline->events);
    free(timeline);
}
