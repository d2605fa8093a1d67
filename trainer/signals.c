#include "trainer/signals.h"

#include <signal.h>
#include <stddef.h>

static volatile sig_atomic_t seen;

static uint32_t bit_of(int number) {
    switch (number) {
    case SIGUSR1: return SIGNALS_USR1;
    case SIGTERM: return SIGNALS_TERM;
    default: return SIGNALS_INT;
    }
}

static void remember(int number) {
    seen = seen | (sig_atomic_t)bit_of(number);
}

void signals_install(void) {
    struct sigaction action = {.sa_handler = remember, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    sigaction(SIGUSR1, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    action.sa_flags = (int)(SA_RESTART | SA_RESETHAND);
    sigaction(SIGINT, &action, NULL);
}

uint32_t signals_seen(void) {
    return (uint32_t)seen;
}

const char *signals_name(uint32_t which) {
    return which & SIGNALS_USR1 ? "SIGUSR1" : which & SIGNALS_TERM ? "SIGTERM" : "SIGINT";
}
