/* What a rank is doing now, and since when, so that others can look: the watch that asks who keeps
 * whom waiting (trainer/watch/), and a timeline.
 *
 * The thread that trains marks its phases; any thread may look. Phases nest: who enters one gets
 * what was before, and hands it back to leave. Every wait for another rank must lie inside a phase
 * of waiting, or nobody will know of it. All functions take NULL: nobody looks.
 */
#ifndef WORKER_ACTIVITY_H
#define WORKER_ACTIVITY_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum activity_phase {
    ACTIVITY_OTHER,   /* start, log, and what lies between the phases below */
    ACTIVITY_STAGING, /* copies shards to the node */
    ACTIVITY_INPUT,   /* waits for pictures of its own loader */
    ACTIVITY_FORWARD,
    ACTIVITY_BACKWARD,
    ACTIVITY_UPDATE,
    ACTIVITY_VALIDATION,
    ACTIVITY_CHECKPOINT,
    ACTIVITY_BUCKET, /* of the exchange, on its way: a span alone */
    /* From here on it waits for other ranks. */
    ACTIVITY_AGREEMENT,
    ACTIVITY_EXCHANGE,   /* detail: the first bucket that has not come, or -1 */
    ACTIVITY_COLLECTIVE, /* any other call for all ranks */
    ACTIVITY_COPIES,     /* of shards, which other ranks make: takes as long as it takes */
    ACTIVITY_PHASES
};

/* "forward", "the exchange". */
const char *activity_name(enum activity_phase phase);
bool activity_is_wait(enum activity_phase phase);
/* Whether it is a wait that must end in time: all but that for copies. */
bool activity_is_limited(enum activity_phase phase);

/* Where a rank stands. */
struct activity_now {
    enum activity_phase phase;
    int64_t step;   /* training steps done before */
    int64_t detail; /* of the phase; -1: none */
    double since;   /* by activity_clock */
};

/* Is shown every phase that ends, and spans that no phase covers; from any thread. */
struct activity_viewer {
    void (*span)(void *context, const struct activity_now *span, double until);
    void *context;
};

struct activity {
    pthread_mutex_t lock;
    struct activity_now now;
    const struct activity_viewer *viewer; /* or NULL */
};

void activity_init(struct activity *activity);
void activity_release(struct activity *activity);

/* Seconds that never jump, of this host alone. */
double activity_clock(void);

void activity_set_step(struct activity *activity, int64_t step);
/* `viewer` is borrowed, and NULL: none. It is called by any thread, one at a time, and may not call
 * these functions itself; once another is set it is called no more. */
void activity_set_viewer(struct activity *activity, const struct activity_viewer *viewer);

struct activity_now activity_enter(
    struct activity *activity, enum activity_phase phase, int64_t detail);
void activity_leave(struct activity *activity, struct activity_now before);
/* The phase goes on with something else of its kind: the next bucket. */
void activity_set_detail(struct activity *activity, int64_t detail);

/* Tells the viewer of something that began at `from`, ends now, and lies beside the phases. */
void activity_span(
    struct activity *activity, enum activity_phase phase, int64_t detail, double from);

struct activity_now activity_get(struct activity *activity);

#endif
