#include "worker/exchange/progress_thread.h"

#include "base/cpu.h"
#include "worker/exchange/exchange_internal.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* While nothing moves it sleeps, longer each time: a look takes some microseconds from a core that
 * computes. */
#define SLEEP_NSEC    20000
#define SLEEP_LONGEST 320000

struct progress_thread {
    pthread_t thread;
    struct exchange *exchange;
    sem_t hand;                 /* 1: whoever takes it has the exchange */
    sem_t work;                 /* once for every time that there is something to do */
    bool given;                 /* as the rank knows */
    _Atomic bool wanted, ended; /* the rank is about to take it; the thread is to end */
    status result;              /* of what the thread did, and its message: for who has the hand */
    char message[1024];
};

static void take(sem_t *semaphore) {
    while (sem_wait(semaphore) != 0 && errno == EINTR) {
    }
}

/* Moves it on once; *moved tells whether anything did. Returns whether something is under way. */
static bool move(struct progress_thread *own, bool *moved) {
    struct exchange *exchange = own->exchange;
    take(&own->hand);
    exchange->moved = false;
    if (own->result == STATUS_OK && !own->ended) {
        own->result = exchange_advance(exchange);
        if (own->result != STATUS_OK) {
            status_message_copy(own->message, sizeof own->message);
        }
    }
    *moved = exchange->moved;
    bool more = own->result == STATUS_OK && exchange->in_flight > 0;
    sem_post(&own->hand);
    return more;
}

static void *run(void *context) {
    struct progress_thread *own = context;
    cpu_unpin();
    cpu_flush_denormals();
    for (;;) {
        struct timespec nap = {.tv_nsec = SLEEP_NSEC};
        bool moved;
        take(&own->work);
        if (own->ended) {
            return NULL;
        }
        while (!own->wanted && move(own, &moved)) {
            nap.tv_nsec = moved                             ? SLEEP_NSEC
                          : nap.tv_nsec < SLEEP_LONGEST / 2 ? 2 * nap.tv_nsec
                                                            : SLEEP_LONGEST;
            if (!moved) {
                nanosleep(&nap, NULL);
            }
        }
    }
}

status progress_thread_start(struct progress_thread **thread, struct exchange *exchange) {
    struct progress_thread *own;
    TRY(MEMORY_ALLOCATE(&own, 1));
    own->exchange = exchange;
    sem_init(&own->hand, 0, 0);
    sem_init(&own->work, 0, 0);
    int code = pthread_create(&own->thread, NULL, run, own);
    if (code != 0) {
        sem_destroy(&own->hand);
        sem_destroy(&own->work);
        free(own);
        FAIL(STATUS_SYSTEM, "no thread for the exchange: %s", strerror(code));
    }
    *thread = own;
    return STATUS_OK;
}

void progress_thread_stop(struct progress_thread *thread) {
    if (thread == NULL) {
        return;
    }
    thread->ended = thread->wanted = true;
    if (!thread->given) {
        sem_post(&thread->hand);
    }
    sem_post(&thread->work);
    pthread_join(thread->thread, NULL);
    sem_destroy(&thread->hand);
    sem_destroy(&thread->work);
    free(thread);
}

void progress_thread_give(struct progress_thread *thread) {
    if (thread != NULL && !thread->given) {
        thread->exchange->adding = 1;
        thread->given = true;
        thread->wanted = false;
        sem_post(&thread->hand);
    }
}

void progress_thread_wake(struct progress_thread *thread) {
    if (thread != NULL) {
        sem_post(&thread->work);
    }
}

status progress_thread_take(struct progress_thread *thread) {
    if (thread == NULL || !thread->given) {
        return STATUS_OK;
    }
    thread->wanted = true;
    take(&thread->hand);
    thread->given = false;
    thread->exchange->adding = thread->exchange->options.threads;
    return thread->result == STATUS_OK ? STATUS_OK : status_adopt(thread->result, thread->message);
}
