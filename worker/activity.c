#include "worker/activity.h"

#include <stddef.h>
#include <time.h>

static const char *const names[ACTIVITY_PHASES] = {
    [ACTIVITY_OTHER] = "other work",
    [ACTIVITY_STAGING] = "staging",
    [ACTIVITY_INPUT] = "input",
    [ACTIVITY_FORWARD] = "forward",
    [ACTIVITY_BACKWARD] = "backward",
    [ACTIVITY_UPDATE] = "update",
    [ACTIVITY_VALIDATION] = "validation",
    [ACTIVITY_CHECKPOINT] = "checkpoint",
    [ACTIVITY_BUCKET] = "bucket",
    [ACTIVITY_AGREEMENT] = "agreement",
    [ACTIVITY_EXCHANGE] = "exchange",
    [ACTIVITY_COLLECTIVE] = "collective",
    [ACTIVITY_COPIES] = "copies",
};

const char *activity_name(enum activity_phase phase) {
    return names[phase];
}

bool activity_is_wait(enum activity_phase phase) {
    return phase >= ACTIVITY_AGREEMENT;
}

bool activity_is_limited(enum activity_phase phase) {
    return activity_is_wait(phase) && phase != ACTIVITY_COPIES;
}

double activity_clock(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

void activity_init(struct activity *activity) {
    *activity = (struct activity){.now = {.detail = -1, .since = activity_clock()}};
    pthread_mutex_init(&activity->lock, NULL);
}

void activity_release(struct activity *activity) {
    pthread_mutex_destroy(&activity->lock);
}

void activity_set_step(struct activity *activity, int64_t step) {
    if (activity != NULL) {
        pthread_mutex_lock(&activity->lock);
        activity->now.step = step;
        activity->now.since = activity_clock();
        pthread_mutex_unlock(&activity->lock);
    }
}

void activity_set_viewer(struct activity *activity, const struct activity_viewer *viewer) {
    pthread_mutex_lock(&activity->lock);
    activity->viewer = viewer;
    pthread_mutex_unlock(&activity->lock);
}

/* Under the lock: once another viewer is set, nobody is inside the one before. */
static void show(const struct activity *activity, const struct activity_now *span, double until) {
    if (activity->viewer != NULL) {
        activity->viewer->span(activity->viewer->context, span, until);
    }
}

struct activity_now activity_enter(
    struct activity *activity, enum activity_phase phase, int64_t detail) {
    if (activity == NULL) {
        return (struct activity_now){0};
    }
    const double clock = activity_clock();
    pthread_mutex_lock(&activity->lock);
    const struct activity_now before = activity->now;
    activity->now = (struct activity_now){
        .phase = phase, .step = before.step, .detail = detail, .since = clock};
    pthread_mutex_unlock(&activity->lock);
    return before;
}

void activity_leave(struct activity *activity, struct activity_now before) {
    if (activity == NULL) {
        return;
    }
    pthread_mutex_lock(&activity->lock);
    const struct activity_now ended = activity->now;
    activity->now = before;
    show(activity, &ended, activity_clock());
    pthread_mutex_unlock(&activity->lock);
}

void activity_set_detail(struct activity *activity, int64_t detail) {
    if (activity == NULL) {
        return;
    }
    const double clock = activity_clock();
    pthread_mutex_lock(&activity->lock);
    const struct activity_now ended = activity->now;
    if (ended.detail != detail) {
        activity->now.detail = detail;
        activity->now.since = clock;
        show(activity, &ended, clock);
    }
    pthread_mutex_unlock(&activity->lock);
}

void activity_span(
    struct activity *activity, enum activity_phase phase, int64_t detail, double from) {
    if (activity == NULL) {
        return;
    }
    pthread_mutex_lock(&activity->lock);
    const struct activity_now span = {
        .phase = phase, .step = activity->now.step, .detail = detail, .since = from};
    show(activity, &span, activity_clock());
    pthread_mutex_unlock(&activity->lock);
}

struct activity_now activity_get(struct activity *activity) {
    pthread_mutex_lock(&activity->lock);
    const struct activity_now now = activity->now;
    pthread_mutex_unlock(&activity->lock);
    return now;
}
