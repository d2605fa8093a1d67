/* Signals that ask a run to stop: SIGUSR1 (what a batch system is told to send before the time is
 * up), SIGTERM and SIGINT. A handler sets a flag and wakes who asked for it; the loop looks at it
 * once a step, and every rank's flag counts through the agreement. A second SIGINT kills.
 */
#ifndef TRAINER_SIGNALS_H
#define TRAINER_SIGNALS_H

#include <stdint.h>

enum signals_seen { SIGNALS_USR1 = 1, SIGNALS_TERM = 2, SIGNALS_INT = 4 };

void signals_install(void);

/* Each signal also writes a byte to `descriptor`, which must not block; -1: none. */
void signals_wake(int descriptor);

/* Those seen on this rank since signals_install. */
uint32_t signals_seen(void);

/* "SIGUSR1", or what of it `seen` holds first. */
const char *signals_name(uint32_t seen);

#endif
