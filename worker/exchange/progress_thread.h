/* A thread that moves an exchange on while its rank computes: for exchange.c alone.
 *
 * The exchange is in one hand at a time: the thread's from progress_thread_give to
 * progress_thread_take, the rank's otherwise, who then waits by itself, adds with all its threads
 * and marks what it waits for. The thread adds alone, sleeps while nothing moves, and stands still
 * between steps. All functions but progress_thread_start take NULL: there is none.
 */
#ifndef WORKER_EXCHANGE_PROGRESS_THREAD_H
#define WORKER_EXCHANGE_PROGRESS_THREAD_H

#include "base/status.h"

struct exchange;
struct progress_thread;

/* STATUS_SYSTEM. */
status progress_thread_start(struct progress_thread **thread, struct exchange *exchange);
void progress_thread_stop(struct progress_thread *thread);

/* The rank gives the exchange away. */
void progress_thread_give(struct progress_thread *thread);
/* There is something to move on: more of the rank's vectors is final. */
void progress_thread_wake(struct progress_thread *thread);
/* The rank takes the exchange back, if it is not in its hand: waits until the thread has done what
 * it is at. Fails as the thread failed. */
status progress_thread_take(struct progress_thread *thread);

#endif
