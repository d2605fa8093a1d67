/* What timeline.c records and timeline_write.c writes: for these alone. */
#ifndef TRAINER_TIMELINE_INTERNAL_H
#define TRAINER_TIMELINE_INTERNAL_H

#include "trainer/timeline.h"

#include <pthread.h>
#include <stdio.h>

#define TIMELINE_NO_PART (-1)

/* Plain bytes: they travel to rank 0. */
struct timeline_event {
    double from, until; /* by the rank's own activity_clock */
    int64_t step;
    int32_t detail; /* bucket, or layer */
    int16_t phase;  /* enum activity_phase */
    int16_t part;   /* enum net_part, or TIMELINE_NO_PART */
};

struct timeline {
    struct transport *transport;
    struct net *net;
    struct activity_viewer viewer;
    struct net_watch net_watch;
    struct timeline_event *events; /* [TIMELINE_EVENTS] */
    struct timeline_event *others; /* as many, on rank 0: those of one rank after another */
    pthread_mutex_t lock;          /* guards `count` and the events before it while recording */
    int count;                     /* of those that came, also of those without room */
    double last;                   /* when the last part of the net was done */
    double began, offset, drift;   /* of the clock: offset at `began`, drift a second since */
    double start;                  /* rank 0's `began`: where the trace begins */
    char *path;
    pthread_mutex_t writing; /* who writes the file, and `left` */
    bool left;               /* timeline_leave wrote it */
};

/* What a rank tells before its events: plain bytes. */
struct timeline_heading {
    char host[64];
    int32_t count, lost;
};
struct timeline_heading timeline_head(struct timeline *timeline);

/* By beginning, and what holds others before them. */
void timeline_sort(struct timeline *timeline, int count);

/* The parts of the file: TIMELINE_HEAD, ranks with a comma between them, more events (each brings
 * its comma), TIMELINE_TAIL. `start` is on the clock of the events. */
#define TIMELINE_HEAD "{\"displayTimeUnit\":\"ms\",\"traceEvents\":["
#define TIMELINE_TAIL "\n]}\n"
void timeline_write_event(FILE *out, const struct timeline *timeline,
    const struct timeline_event *event, int rank, double start);
void timeline_write_rank(FILE *out, const struct timeline *timeline,
    const struct timeline_heading *heading, const struct timeline_event *events, int rank,
    double start);

#endif
