/* What timeline.c records and timeline_write.c writes: for these alone. */
#ifndef TRAINER_TIMELINE_INTERNAL_H
#define TRAINER_TIMELINE_INTERNAL_H

#include "io/file.h"
#include "trainer/timeline.h"

#include <stdatomic.h>

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
    atomic_int count;              /* of those that came, also of those without room */
    double last;                   /* when the last part of the net was done */
    double began, offset, drift;   /* of the clock: offset at `began`, drift a second since */
    struct atomic_file file;       /* rank 0's */
    bool open;
};

#endif
