#include "trainer/signals.h"

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <unistd.h>

static volatile sig_atomic_t seen, awake = -1;

static uint32_t bit_of(int number) {
    switch (number) {
    case SIGUSR1: return SIGNALS_USR1;
    case SIGTERM: return SIGNALS_TERM;
    default: return SIGNALS_INT;
    }
}

static void remember(int number) {
    const int error = errno; /* of whoever was interrupted */
    seen = seen | (sig_atomic_t)bit_of(number);
    if (awake >= 0 && write((int)awake, "", 1) < 0) {
        errno = error; /* the pipe is full: it wakes all the same */
    }
}

void signals_install(void) {
    struct sigaction action = {.sa_handler = remember, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaction(SIGUSR1, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    action.sa_flags = (int)(SA_RESTART | SA_RESETHAND);
    sigaction(SIGINT, &action, NULL);
}

void signals_wake(int descriptor) {
    awake = descriptor;
}

uint32_t signals_seen(void) {
    return (uint32_t)seen;
}

const char *signals_name(uint32_t which) {
    return which & SIGNALS_USR1 ? "SIGUSR1" : which & SIGNALS_TERM ? "SIGTERM" : "SIGINT";
}
