#include "trainer/watch/watch.h"

#include "base/memory.h"
#include "trainer/signals.h"
#include "trainer/watch/launcher.h"
#include "trainer/watch/story.h"

#include <errno.h>
#include <fcntl.h>
#include <mpi.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LAUNCHER_ENDS 3    /* seconds that mpirun has to end by itself */
#define LAST_WORDS    2    /* seconds that the others have to end us, before we do */
#define UNHEARD_AFTER 30.0 /* seconds without an answer, until a closed way is told of */

struct watch {
    const struct transport *transport;
    struct activity *activity;
    struct peers peers;
    struct heart heart; /* of the thread alone, as all below `lock` is not */
    pthread_t thread;
    int wake[2]; /* a pipe: a byte wakes the thread */
    double next_beat, looked, accused;
    struct heart_warning warning;
    struct heart_verdict accusation; /* rank HEART_NOBODY: none */
    bool told_unheard;
    pthread_mutex_t lock; /* guards what follows */
    struct watch_limits limits;
    struct log *log;
    void (*last)(void *context);
    void *last_context;
    bool stop;
};

/* ---- what is said ---- */

static void say(struct watch *watch, const char *text) {
    pthread_mutex_lock(&watch->lock);
    if (watch->log != NULL) {
        log_warning(watch->log, "%s", text);
    } else {
        fprintf(stderr, "convoy: %s\n", text);
    }
    pthread_mutex_unlock(&watch->lock);
}

/* Whatever hangs from here on, MPI or the file system, an alarm ends us. */
static void set_alarm(void) {
    sigset_t alarm_alone;
    sigemptyset(&alarm_alone);
    sigaddset(&alarm_alone, SIGALRM);
    signal(SIGALRM, SIG_DFL);
    alarm(LAST_WORDS);
    pthread_sigmask(SIG_UNBLOCK, &alarm_alone, NULL);
}

static void say_last(struct watch *watch, const char *text) {
    fprintf(stderr, "convoy: %s\n", text);
    pthread_mutex_lock(&watch->lock);
    if (watch->log != NULL) {
        log_note(watch->log, "%s", text);
    }
    pthread_mutex_unlock(&watch->lock);
}

static void act_last(struct watch *watch) {
    pthread_mutex_lock(&watch->lock);
    if (watch->last != NULL) {
        watch->last(watch->last_context);
        watch->last = NULL;
    }
    pthread_mutex_unlock(&watch->lock);
}

static _Noreturn void end_job(void) {
    int ended;
    MPI_Finalized(&ended);
    if (!ended) {
        MPI_Abort(MPI_COMM_WORLD, 1);
    }
    _Exit(1);
}

/* ---- messages ---- */

static void send_beat(struct watch *watch, enum heart_kind kind) {
    struct heart_beat beat;
    const struct activity_now now = activity_get(watch->activity);
    heart_fill(&beat, &watch->heart, &now, activity_clock());
    beat.kind = kind;
    for (int n = 0; n < watch->heart.count; n++) {
        peers_send(&watch->peers, watch->heart.neighbour[n].rank, &beat);
    }
}

static void send_verdict(
    struct watch *watch, int rank, enum heart_kind kind, const struct heart_verdict *verdict) {
    struct heart_beat beat;
    const struct activity_now now = activity_get(watch->activity);
    heart_fill(&beat, &watch->heart, &now, activity_clock());
    beat.kind = kind;
    beat.verdict = *verdict;
    peers_send(&watch->peers, rank, &beat);
}

/* Ends the job on this rank's word: tells the user first, for who is killed has mpirun end all. */
static _Noreturn void conclude(
    struct watch *watch, const struct heart_verdict *verdict, const char *text) {
    set_alarm();
    say_last(watch, text);
    for (int r = 0; r < watch->peers.ranks; r++) {
        if (r != watch->peers.rank) {
            send_verdict(watch, r, HEART_END, verdict);
        }
    }
    launcher_end_after(LAUNCHER_ENDS);
    act_last(watch);
    if (verdict->rank >= 0) {
        peers_kill(&watch->peers, verdict->rank); /* mpirun then ends all */
    }
    end_job();
}

static _Noreturn void conclude_silence(struct watch *watch, const struct heart_verdict *verdict) {
    char text[STORY_SIZE];
    story_silence(text, &watch->peers, verdict);
    conclude(watch, verdict, text);
}

/* Another rank has spoken. A process that is stopped does not hear of it: who shares its host
 * kills it. mpirun is about to end this rank; where it does not, we do. */
static _Noreturn void obey(struct watch *watch, const struct heart_verdict *verdict) {
    set_alarm();
    launcher_end_after(LAUNCHER_ENDS);
    act_last(watch);
    if (verdict->rank >= 0) {
        peers_kill(&watch->peers, verdict->rank);
    }
    alarm(0);
    sleep(LAST_WORDS);
    _Exit(1);
}

static void receive(struct watch *watch) {
    struct heart_beat beat;
    while (watch->peers.socket >= 0 && peers_receive(&watch->peers, &beat)) {
        switch (beat.kind) {
        case HEART_ACCUSE:
            if (beat.verdict.rank >= 0) {
                conclude_silence(watch, &beat.verdict);
            }
            break;
        case HEART_END: obey(watch, &beat.verdict);
        default: heart_hear(&watch->heart, &beat, activity_clock()); break;
        }
    }
}

/* ---- what is looked for at every beat ---- */

static void look_for_silence(struct watch *watch, double now) {
    struct heart_verdict verdict;
    if (!heart_find_silent(&verdict, &watch->heart, now)) {
        watch->accusation.rank = HEART_NOBODY;
        return;
    }
    verdict.reason = peers_look(&watch->peers, verdict.rank);
    const int speaker =
        heart_speaker(verdict.rank, verdict.by, watch->peers.nodes, watch->peers.ranks);
    if (watch->accusation.rank != verdict.rank) {
        watch->accusation = verdict;
        watch->accused = now;
    }
    /* Whoever should speak may be gone too. */
    if (speaker == watch->peers.rank || now - watch->accused >= watch->heart.beat) {
        conclude_silence(watch, &verdict);
    }
    send_verdict(watch, speaker, HEART_ACCUSE, &verdict);
}

static void look_for_unheard(struct watch *watch, double now) {
    int rank = heart_find_unheard(&watch->heart, UNHEARD_AFTER, now);
    if (rank >= 0 && !watch->told_unheard && watch->heart.silence > 0) {
        char text[STORY_SIZE];
        const struct peer *here = &watch->peers.peer[watch->peers.rank];
        const struct peer *there = &watch->peers.peer[rank];
        watch->told_unheard = true;
        snprintf(text, sizeof text,
            "the heartbeat does not get through between rank %d (%s) and rank %d (%s, UDP port "
            "%u), a firewall perhaps: if one of them stops, only the long waits will tell",
            here->rank, here->host, there->rank, there->host, (unsigned)there->port);
        say(watch, text);
    }
}

/* Rank 0 knows of everyone; a rank that nobody hears of speaks for itself. */
static void look_for_waits(struct watch *watch, double now) {
    struct heart_beat all;
    const struct activity_now mine = activity_get(watch->activity);
    heart_fill(&all, &watch->heart, &mine, now);
    pthread_mutex_lock(&watch->lock);
    const struct watch_limits limits = watch->limits;
    pthread_mutex_unlock(&watch->lock);
    const double patience = watch->peers.rank == 0 ? 0 : 10 * watch->heart.beat;
    char text[STORY_SIZE];
    const double waited = all.waiter.rank >= 0 ? all.waiter.seconds : 0;
    if (limits.stop > 0 && waited >= limits.stop + patience &&
        activity_is_limited((enum activity_phase)all.waiter.phase)) {
        const struct heart_verdict verdict = {
            .rank = HEART_NOBODY, .by = watch->peers.rank, .reason = HEART_STALLED};
        story_wait(text, &watch->peers, &all);
        strncat(text, ": the job ends (watch.stop_seconds)", sizeof text - strlen(text) - 1);
        conclude(watch, &verdict, text);
    }
    if (watch->peers.rank == 0 && heart_warns(&watch->warning, &all.waiter, limits.warn)) {
        story_wait(text, &watch->peers, &all);
        say(watch, text);
    }
}

static void settle_limits(struct watch *watch, double now) {
    pthread_mutex_lock(&watch->lock);
    const double heartbeat = watch->limits.heartbeat;
    pthread_mutex_unlock(&watch->lock);
    heart_set_limit(&watch->heart, heartbeat);
    if (watch->next_beat > now + watch->heart.beat) {
        watch->next_beat = now;
    }
}

static bool is_asked_to_stop(struct watch *watch) {
    char bytes[16];
    if (read(watch->wake[0], bytes, sizeof bytes) > 0) {
        watch->next_beat = 0; /* new limits: the others learn of them at once */
    }
    pthread_mutex_lock(&watch->lock);
    const bool stop = watch->stop;
    pthread_mutex_unlock(&watch->lock);
    return stop;
}

static void *run(void *argument) {
    struct watch *watch = argument;
    struct pollfd wait[2] = {
        {.fd = watch->peers.socket, .events = POLLIN}, {.fd = watch->wake[0], .events = POLLIN}};
    watch->looked = activity_clock();
    while (!is_asked_to_stop(watch)) {
        if (signals_seen() & SIGNALS_TERM) {
            act_last(watch);
        }
        const double now = activity_clock();
        settle_limits(watch, now);
        /* A loop that took longer than two beats did not run: suspended, or out of the processor.
         */
        if (now - watch->looked > 2 * watch->heart.beat) {
            heart_wake(&watch->heart, now);
        }
        watch->looked = now;
        receive(watch);
        if (now >= watch->next_beat) {
            send_beat(watch, HEART_BEAT);
            look_for_silence(watch, now);
            look_for_unheard(watch, now);
            look_for_waits(watch, now);
            watch->next_beat = now + watch->heart.beat;
        }
        const double left = watch->next_beat - activity_clock();
        poll(wait, 2, left > 0 ? (int)(left * 1000) + 1 : 0);
    }
    send_beat(watch, HEART_BYE);
    send_beat(watch, HEART_BYE); /* one may be lost */
    return NULL;
}

/* ---- start and stop ---- */

static void release(struct watch *watch) {
    for (int end = 0; end < 2; end++) {
        if (watch->wake[end] >= 0) {
            close(watch->wake[end]);
        }
    }
    peers_close(&watch->peers);
    pthread_mutex_destroy(&watch->lock);
    free(watch);
}

/* Signals are the business of the thread that trains. */
static status start_thread(struct watch *watch) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&watch->thread, NULL, run, watch);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (error != 0) {
        FAIL(STATUS_SYSTEM, "cannot start the thread of the heartbeat: %s", strerror(error));
    }
    return STATUS_OK;
}

status watch_start(struct watch **watch, const struct transport *transport) {
    *watch = NULL;
    if (transport->ranks == 1) {
        return STATUS_OK;
    }
    struct watch *own;
    TRY(MEMORY_ALLOCATE(&own, 1));
    *own = (struct watch){.transport = transport,
        .activity = transport->activity,
        .wake = {-1, -1},
        .accusation.rank = HEART_NOBODY,
        .limits = {WATCH_HEARTBEAT_SECONDS, WATCH_WARN_SECONDS, WATCH_STOP_SECONDS}};
    pthread_mutex_init(&own->lock, NULL);
    heart_init(&own->heart, transport->rank, transport->ranks, activity_clock());
    heart_set_limit(&own->heart, own->limits.heartbeat);
    status result;
    TRY_TO(failed, result, peers_open(&own->peers, transport));
    if (pipe2(own->wake, O_CLOEXEC | O_NONBLOCK) != 0) {
        FAIL_TO(failed, result, STATUS_SYSTEM, "no pipe for the heartbeat: %s", strerror(errno));
    }
    TRY_TO(failed, result, start_thread(own));
    signals_wake(own->wake[1]);
    *watch = own;
    return STATUS_OK;
failed:
    release(own);
    return result;
}

static void wake(struct watch *watch) {
    if (write(watch->wake[1], "", 1) < 0) {
        return; /* the pipe is full: it wakes all the same */
    }
}

void watch_stop(struct watch *watch) {
    if (watch == NULL) {
        return;
    }
    signals_wake(-1);
    pthread_mutex_lock(&watch->lock);
    watch->stop = true;
    pthread_mutex_unlock(&watch->lock);
    wake(watch);
    pthread_join(watch->thread, NULL);
    release(watch);
}

void watch_set_limits(struct watch *watch, const struct watch_limits *limits) {
    if (watch != NULL) {
        pthread_mutex_lock(&watch->lock);
        watch->limits = *limits;
        pthread_mutex_unlock(&watch->lock);
        wake(watch);
    }
}

void watch_set_last(struct watch *watch, void (*act)(void *context), void *context) {
    if (watch != NULL) {
        pthread_mutex_lock(&watch->lock);
        watch->last = act;
        watch->last_context = context;
        pthread_mutex_unlock(&watch->lock);
    }
}

void watch_set_log(struct watch *watch, struct log *log) {
    if (watch != NULL) {
        pthread_mutex_lock(&watch->lock);
        watch->log = log;
        pthread_mutex_unlock(&watch->lock);
    }
}
