#include "trainer/watch/story.h"

#include <inttypes.h>
#include <stdio.h>

static const char *reason_text(enum heart_reason reason) {
    switch (reason) {
    case HEART_STOPPED: return "is stopped (SIGSTOP, or a debugger)";
    case HEART_GONE: return "is gone";
    default: return "is stopped, dead or cut off from the network";
    }
}

void story_silence(
    char text[STORY_SIZE], const struct peers *peers, const struct heart_verdict *verdict) {
    const struct peer *silent = &peers->peer[verdict->rank], *by = &peers->peer[verdict->by];
    snprintf(text, STORY_SIZE,
        "rank %d (%s, process %d) %s: rank %d (%s) has heard nothing of it for %.1f s",
        silent->rank, silent->host, silent->process,
        reason_text((enum heart_reason)verdict->reason), by->rank, by->host, verdict->seconds);
}

/* "the exchange of bucket 3 in step 121", "forward in step 121", "staging" */
static void describe(char *text, size_t size, const struct heart_place *place) {
    static const char *const waits[ACTIVITY_PHASES] = {
        [ACTIVITY_AGREEMENT] = "the agreement of all ranks",
        [ACTIVITY_EXCHANGE] = "the exchange",
        [ACTIVITY_COLLECTIVE] = "a call for all ranks",
        [ACTIVITY_COPIES] = "the copies of shards",
    };
    if (place->phase == HEART_LOST) {
        snprintf(text, size, "last heard of in step %" PRId64, place->step + 1);
        return;
    }
    const char *name = waits[place->phase];
    char bucket[40] = "";
    if (place->phase == ACTIVITY_EXCHANGE && place->detail >= 0) {
        snprintf(bucket, sizeof bucket, " of bucket %" PRId64, place->detail);
    }
    if (name == NULL) {
        name = activity_name((enum activity_phase)place->phase);
    }
    if (place->phase == ACTIVITY_STAGING || place->phase == ACTIVITY_COPIES) {
        snprintf(text, size, "%s", name); /* before the first step */
        return;
    }
    snprintf(text, size, "%s%s in step %" PRId64, name, bucket, place->step + 1);
}

void story_wait(char text[STORY_SIZE], const struct peers *peers, const struct heart_beat *all) {
    const struct heart_place *waiter = &all->waiter, *behind = &all->behind;
    const struct peer *first = &peers->peer[waiter->rank], *missing = &peers->peer[behind->rank];
    const bool lost = behind->phase == HEART_LOST;
    const bool all_wait = !lost && activity_is_wait((enum activity_phase)behind->phase);
    const int others = peers->ranks - all->ranks - (lost ? 1 : 0);
    char what[96], does[96], more[64] = "", unheard[64] = "";
    describe(what, sizeof what, waiter);
    describe(does, sizeof does, behind);
    if (all->busy > 1) {
        snprintf(more, sizeof more, ", and %d more", all->busy - 1);
    }
    if (others > 0) {
        snprintf(unheard, sizeof unheard, "; of %d ranks nothing is known", others);
    }
    snprintf(text, STORY_SIZE,
        "rank %d (%s) has waited %.0f s for %s; %s rank %d (%s), %s%s, for %.0f s%s%s",
        waiter->rank, first->host, waiter->seconds, what,
        all_wait ? "all ranks wait, furthest behind is" : "not there:", behind->rank, missing->host,
        lost       ? ""
        : all_wait ? "at "
                   : "busy with ",
        does, behind->seconds, more, unheard);
}
