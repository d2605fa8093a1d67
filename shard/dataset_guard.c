#include "shard/dataset_guard.h"

#include "base/memory.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

/* The handler walks the list without a lock: guards are never freed while the process lives, only
 * switched off (`path` = NULL) and used again. */
struct dataset_guard {
    struct dataset_guard *next;
    _Atomic(const char *) path;
    _Atomic uintptr_t base;
    _Atomic size_t size;
};

static const int signals[] = {SIGBUS, SIGSEGV};
enum { SIGNALS = 2 };

static _Atomic(struct dataset_guard *) guards;
static struct sigaction previous[SIGNALS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int active; /* under `lock` */

static _Thread_local const struct dataset_guard *volatile reading;

static const char *find(uintptr_t address) {
    if (reading != NULL) {
        return atomic_load(&reading->path);
    }
    for (struct dataset_guard *guard = atomic_load(&guards); guard != NULL; guard = guard->next) {
        const char *path = atomic_load(&guard->path);
        if (path != NULL && address - atomic_load(&guard->base) < atomic_load(&guard->size)) {
            return path;
        }
    }
    return NULL;
}

_Noreturn void dataset_guard_die(const char *path, const char *reason) {
    const char *parts[] = {"convoy: ", path, ": the shard is damaged or cut short (", reason,
        "); convoy inspect DATASET --verify reads every record\n"};
    enum { PARTS = sizeof parts / sizeof parts[0] };
    struct iovec line[PARTS];
    for (int i = 0; i < PARTS; i++) {
        line[i] = (struct iovec){(void *)(uintptr_t)parts[i], strlen(parts[i])};
    }
    ssize_t written = writev(STDERR_FILENO, line, PARTS);
    (void)written;
    _exit(1);
}

static void handle(int number, siginfo_t *about, void *context) {
    (void)context;
    bool sent = about->si_code <= 0; /* by kill(), not by a fault */
    const char *path = sent ? NULL : find((uintptr_t)about->si_addr);
    if (path != NULL) {
        dataset_guard_die(path, number == SIGBUS ? "SIGBUS" : "SIGSEGV");
    }
    for (int i = 0; i < SIGNALS; i++) {
        if (signals[i] == number) {
            sigaction(number, &previous[i], NULL);
        }
    }
    if (sent) {
        raise(number); /* a fault comes back by itself when the handler returns */
    }
}

/* The handler runs on the alternate stack where the thread has one: a fault in a mapping leaves the
 * ordinary stack sound, and one on an overflown stack is not ours but must reach who comes next. */
static void install(void) {
    struct sigaction action = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigemptyset(&action.sa_mask);
    for (int i = 0; i < SIGNALS; i++) {
        sigaction(signals[i], &action, &previous[i]);
    }
}

/* Puts the previous handlers back, unless somebody came after us. */
static void uninstall(void) {
    for (int i = 0; i < SIGNALS; i++) {
        struct sigaction now;
        sigaction(signals[i], NULL, &now);
        if ((now.sa_flags & SA_SIGINFO) != 0 && now.sa_sigaction == handle) {
            sigaction(signals[i], &previous[i], NULL);
        }
    }
}

static struct dataset_guard *find_unused(void) {
    struct dataset_guard *guard = atomic_load(&guards);
    while (guard != NULL && atomic_load(&guard->path) != NULL) {
        guard = guard->next;
    }
    return guard;
}

void dataset_guard_set_range(struct dataset_guard *guard, uintptr_t base, size_t size) {
    atomic_store(&guard->base, base);
    atomic_store(&guard->size, size);
}

status dataset_guard_add(struct dataset_guard **guard, const char *path) {
    *guard = NULL;
    char *copy;
    TRY(memory_copy_text(&copy, path));
    pthread_mutex_lock(&lock);
    struct dataset_guard *found = find_unused();
    status result = STATUS_OK;
    if (found == NULL) {
        TRY_TO(unlock, result, MEMORY_ALLOCATE(&found, 1));
        found->next = atomic_load(&guards);
        atomic_store(&guards, found);
    }
    dataset_guard_set_range(found, 0, 0);
    atomic_store(&found->path, copy);
    if (active++ == 0) {
        install();
    }
    *guard = found;
    copy = NULL;
unlock:
    pthread_mutex_unlock(&lock);
    free(copy);
    return result;
}

void dataset_guard_remove(struct dataset_guard *guard) {
    if (guard == NULL) {
        return;
    }
    pthread_mutex_lock(&lock);
    char *path = (char *)(uintptr_t)atomic_load(&guard->path);
    atomic_store(&guard->path, NULL);
    free(path);
    if (--active == 0) {
        uninstall();
    }
    pthread_mutex_unlock(&lock);
}

void dataset_guard_enter(const struct dataset_guard *guard) {
    reading = guard;
}

void dataset_guard_leave(void) {
    reading = NULL;
}
