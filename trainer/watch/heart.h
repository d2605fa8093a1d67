/* The heartbeat of a job as one rank sees it: who is silent, who waits, who keeps them waiting.
 *
 * A machine without clock, sockets or threads, so that a test can run thousands of ranks in one
 * process; watch.c gives it all three. Ranks form a tree of HEART_CHILDREN children each, in the
 * order of the transport (ranks of a node are neighbours). Everyone sends a beat to parent and
 * children ten times within the time in which a silent rank must be found, and at least once a
 * second. On its way up a beat tells of the sender's whole subtree who is furthest behind and who
 * has waited longest: rank 0 knows of everyone, and nobody sends or hears more than HEART_CHILDREN
 * + 1 small messages a beat.
 *
 * Time is in seconds of any clock that does not jump. A rank that did not run itself (the whole job
 * was suspended, or this host alone was) accuses nobody for what it missed: heart_wake.
 */
#ifndef TRAINER_WATCH_HEART_H
#define TRAINER_WATCH_HEART_H

#include "worker/activity.h"

#define HEART_CHILDREN 32
#define HEART_NOBODY   (-1)

#define HEART_LOST ACTIVITY_PHASES

/* What one rank is doing, and for how long. */
struct heart_place {
    int32_t rank;  /* HEART_NOBODY: there is none */
    int32_t phase; /* of its activity; HEART_LOST: its beats do not come */
    int64_t step, detail;
    double seconds;
};

enum heart_kind {
    HEART_BEAT,
    HEART_BYE,    /* the sender leaves for good: its silence is no alarm */
    HEART_ACCUSE, /* to the one who shall speak: `verdict` */
    HEART_END,    /* the job ends, `verdict` says why */
};

enum heart_reason { HEART_SILENT, HEART_STOPPED, HEART_GONE, HEART_STALLED };

struct heart_verdict {
    int32_t rank; /* who is silent; HEART_NOBODY: the job stalled */
    int32_t by;   /* who noticed */
    int32_t reason;
    double seconds; /* of silence */
};

/* One message, plain bytes: all ranks run the same program. */
struct heart_beat {
    uint64_t key; /* of the job: what does not bear it is not ours */
    int32_t kind, from;
    double silence; /* the sender may be silent for so long (0: for ever) */
    int32_t ranks;  /* in the sender's subtree, as far as it hears of them */
    int32_t busy;   /* of these, so many do not wait for others; and those that are lost */
    struct heart_place behind, waiter;
    struct heart_verdict verdict;
};

struct heart_neighbour {
    int rank;
    bool known, left; /* it was heard once; it said farewell */
    double heard;
    struct heart_beat last;
};

struct heart {
    int rank, ranks;
    double beat, silence; /* between two beats; until a neighbour counts as silent (0: never) */
    double woke;
    int count; /* the parent, where there is one, then the children */
    struct heart_neighbour neighbour[HEART_CHILDREN + 1];
};

void heart_init(struct heart *heart, int rank, int ranks, double now);

/* A silent rank must be found, and the job ended, within `seconds`; 0: never. Neighbours are beaten
 * to ten times in it, at least once a second, and taken as silent after six tenths. */
void heart_set_limit(struct heart *heart, double seconds);

/* Takes in a beat or a farewell; others are not for it. Strangers are passed over. */
void heart_hear(struct heart *heart, const struct heart_beat *beat, double now);

/* This rank did not run for a while: what it did not hear is no one's fault. */
void heart_wake(struct heart *heart, double now);

/* The beat to send: this rank's own activity folded with what the children told. */
void heart_fill(struct heart_beat *beat, const struct heart *heart,
    const struct activity_now *activity, double now);

/* Whether a neighbour that was heard once is silent; the parent is given a beat longer, so that a
 * rank is found by its parent first. */
bool heart_find_silent(struct heart_verdict *verdict, const struct heart *heart, double now);

/* A neighbour that was never heard although `seconds` have passed: a firewall? HEART_NOBODY: all
 * were, or it is too early. */
int heart_find_unheard(const struct heart *heart, double seconds, double now);

/* Whether to tell of the longest wait now: when it has lasted `after` seconds (0: never), and again
 * whenever it has become twice as long. A wait in another step is another wait, though nobody
 * looked between the two. Begins zeroed. */
struct heart_warning {
    int64_t step;
    double next; /* seconds of the wait */
};
bool heart_warns(struct heart_warning *warning, const struct heart_place *waiter, double after);

/* Who tells the user that `silent` is silent: rank 0, where it surely can; else the lowest rank on
 * another node, else the lowest other rank. node[rank] is each rank's node. */
int heart_speaker(int silent, int by, const int *node, int ranks);

#endif
