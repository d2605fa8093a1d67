#include "trainer/watch/heart.h"

#include <string.h>

#define BEATS_A_LIMIT 10
#define SILENT_BEATS  6   /* of these, that do not come until a neighbour is taken as silent */
#define LOST_AFTER    2.5 /* beats, until it is no longer believed to do what it last told */
#define LONGEST_BEAT  1.0 /* seconds, for those who ask who waits: what was told ages */

static void add_neighbour(struct heart *heart, int rank, double now) {
    heart->neighbour[heart->count++] = (struct heart_neighbour){.rank = rank,
        .heard = now,
        .last = {.behind.rank = HEART_NOBODY, .waiter.rank = HEART_NOBODY}};
}

static double beat_for(double silence) {
    const double beat = silence / SILENT_BEATS;
    return silence > 0 && beat < LONGEST_BEAT ? beat : LONGEST_BEAT;
}

static double larger(double a, double b) {
    return a > b ? a : b;
}

/* How often a neighbour beats: the slower of its limit and ours counts. */
static double beats_of(const struct heart *heart, const struct heart_neighbour *neighbour) {
    return larger(beat_for(neighbour->last.silence), heart->beat);
}

static bool has_parent(const struct heart *heart) {
    return heart->rank > 0;
}

void heart_init(struct heart *heart, int rank, int ranks, double now) {
    *heart = (struct heart){.rank = rank, .ranks = ranks, .woke = now};
    if (has_parent(heart)) {
        add_neighbour(heart, (rank - 1) / HEART_CHILDREN, now);
    }
    const int64_t first = (int64_t)rank * HEART_CHILDREN + 1;
    for (int64_t child = first; child < first + HEART_CHILDREN && child < ranks; child++) {
        add_neighbour(heart, (int)child, now);
    }
}

void heart_set_limit(struct heart *heart, double seconds) {
    heart->silence = seconds > 0 ? seconds / BEATS_A_LIMIT * SILENT_BEATS : 0;
    heart->beat = beat_for(heart->silence);
}

void heart_hear(struct heart *heart, const struct heart_beat *beat, double now) {
    for (int n = 0; n < heart->count; n++) {
        struct heart_neighbour *neighbour = &heart->neighbour[n];
        if (neighbour->rank == beat->from) {
            neighbour->known = true;
            neighbour->left = beat->kind == HEART_BYE;
            neighbour->heard = now;
            neighbour->last = *beat;
        }
    }
}

void heart_wake(struct heart *heart, double now) {
    heart->woke = now;
}

/* Lost ranks come first, then those that work, then those that wait. */
static int order(const struct heart_place *place) {
    return place->phase == HEART_LOST                             ? 0
           : !activity_is_wait((enum activity_phase)place->phase) ? 1
                                                                  : 2;
}

/* Who works keeps up those who wait; among equals the one in an earlier step, then the one that has
 * been at it for longer. */
static bool is_further_behind(const struct heart_place *a, const struct heart_place *b) {
    if (order(a) != order(b)) {
        return order(a) < order(b);
    }
    return a->step != b->step ? a->step < b->step : a->seconds > b->seconds;
}

static void fold_lost(struct heart_beat *beat, const struct heart_neighbour *child, double age) {
    const struct heart_place lost = {.rank = child->rank,
        .phase = HEART_LOST,
        .step = child->last.behind.step,
        .detail = -1,
        .seconds = age};
    beat->busy++;
    if (is_further_behind(&lost, &beat->behind)) {
        beat->behind = lost;
    }
}

static void fold(struct heart_beat *beat, const struct heart_beat *child, double age) {
    struct heart_place behind = child->behind, waiter = child->waiter;
    behind.seconds += age;
    waiter.seconds += age;
    beat->ranks += child->ranks;
    beat->busy += child->busy;
    if (is_further_behind(&behind, &beat->behind)) {
        beat->behind = behind;
    }
    if (waiter.rank >= 0 && (beat->waiter.rank < 0 || waiter.seconds > beat->waiter.seconds)) {
        beat->waiter = waiter;
    }
}

void heart_fill(struct heart_beat *beat, const struct heart *heart,
    const struct activity_now *activity, double now) {
    const double since = activity->since > heart->woke ? activity->since : heart->woke;
    const bool waits = activity_is_wait(activity->phase);
    const struct heart_place mine = {
        .rank = heart->rank,
        .phase = activity->phase,
        .step = activity->step,
        .detail = activity->detail,
        .seconds = now > since ? now - since : 0,
    };
    memset(beat, 0, sizeof *beat);
    beat->kind = HEART_BEAT;
    beat->from = heart->rank;
    beat->silence = heart->silence;
    beat->ranks = 1;
    beat->busy = waits ? 0 : 1;
    beat->behind = mine;
    beat->waiter = mine;
    beat->waiter.rank = waits ? heart->rank : HEART_NOBODY;
    beat->verdict.rank = HEART_NOBODY;
    for (int n = has_parent(heart) ? 1 : 0; n < heart->count; n++) {
        const struct heart_neighbour *child = &heart->neighbour[n];
        if (child->known && !child->left) {
            const double age = now - (child->heard > heart->woke ? child->heard : heart->woke);
            if (age > beats_of(heart, child) * LOST_AFTER) {
                fold_lost(beat, child, age);
            } else {
                fold(beat, &child->last, age);
            }
        }
    }
}

bool heart_find_silent(struct heart_verdict *verdict, const struct heart *heart, double now) {
    if (heart->silence <= 0) {
        return false;
    }
    for (int n = 0; n < heart->count; n++) {
        const struct heart_neighbour *neighbour = &heart->neighbour[n];
        const double heard = neighbour->heard > heart->woke ? neighbour->heard : heart->woke;
        const bool parent = n == 0 && has_parent(heart);
        const double limit =
            larger(neighbour->last.silence, heart->silence) + (parent ? heart->beat : 0);
        const bool never_alarms = neighbour->last.silence <= 0;
        if (neighbour->known && !neighbour->left && !never_alarms && now - heard >= limit) {
            *verdict = (struct heart_verdict){.rank = neighbour->rank,
                .by = heart->rank,
                .reason = HEART_SILENT,
                .seconds = now - heard};
            return true;
        }
    }
    return false;
}

int heart_find_unheard(const struct heart *heart, double seconds, double now) {
    for (int n = 0; n < heart->count && now - heart->woke >= seconds; n++) {
        if (!heart->neighbour[n].known) {
            return heart->neighbour[n].rank;
        }
    }
    return HEART_NOBODY;
}

bool heart_warns(struct heart_warning *warning, const struct heart_place *waiter, double after) {
    if (waiter->rank < 0 || waiter->seconds < after || waiter->step != warning->step) {
        *warning = (struct heart_warning){.step = waiter->step, .next = after};
    }
    if (after <= 0 || waiter->rank < 0 || waiter->seconds < warning->next) {
        return false;
    }
    warning->next = 2 * waiter->seconds;
    return true;
}

int heart_speaker(int silent, int by, const int *node, int ranks) {
    /* A node may have died as a whole: rank 0 is asked where it lives elsewhere, or where who
     * noticed lives beside it. */
    if (silent != 0 && (node[silent] != node[0] || node[by] == node[0])) {
        return 0;
    }
    for (int r = 0; r < ranks; r++) {
        if (node[r] != node[silent]) {
            return r;
        }
    }
    return silent == 0 ? 1 : 0;
}
