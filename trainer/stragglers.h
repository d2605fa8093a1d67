/* Who is the slowest rank, and by what. An exchange makes all ranks look equally slow: each ends
 * its step when the last one does. What tells them apart is how long each was busy with its own
 * work before it waited for the others.
 */
#ifndef TRAINER_STRAGGLERS_H
#define TRAINER_STRAGGLERS_H

#include "base/status.h"

#include <stdbool.h>

/* Seconds of one rank: waiting for its own loader, computing, waiting for other ranks. */
struct rank_times {
    double input, compute, waiting;
};

enum straggler_cause { STRAGGLER_INPUT, STRAGGLER_COMPUTE, STRAGGLER_WAITING };

struct straggler {
    int rank;                   /* the one that was busy for longest */
    bool stands_out;            /* by more than STRAGGLER_MARGIN of the time; else all are even */
    enum straggler_cause cause; /* of its being late; of even ranks what took them longest */
    struct rank_times slowest, others; /* others: the medians over all but the slowest */
};

#define STRAGGLER_MARGIN 0.05

/* "input", "compute", "waiting" */
const char *straggler_cause_name(enum straggler_cause cause);

/* ranks >= 1. Fails with STATUS_SYSTEM without memory. */
status straggler_find(struct straggler *straggler, const struct rank_times *times, int ranks);

#endif
