/* A real host. Its computing is sleeping, so that one machine can play many. */
#include "host.h"

#include <mpi.h>
#include <stdlib.h>
#include <time.h>

#define LOOK_EVERY 200e-6 /* seconds */

status host_transport_create(struct transport **transport) {
    return transport_mpi_create(transport);
}

static void sleep_for(double seconds) {
    struct timespec time = {.tv_sec = (time_t)seconds};
    time.tv_nsec = (long)((seconds - (double)time.tv_sec) * 1e9);
    nanosleep(&time, NULL);
}

status host_compute(struct transport *transport, double seconds, struct exchange *exchange) {
    (void)transport;
    const double until = activity_clock() + seconds;
    for (double left = seconds; left > 0.0; left = until - activity_clock()) {
        sleep_for(exchange != NULL && left > LOOK_EVERY ? LOOK_EVERY : left);
        if (exchange != NULL) {
            TRY(exchange_progress(exchange));
        }
    }
    return STATUS_OK;
}

void host_spend(double seconds) {
    sleep_for(seconds);
}

void host_end(int code) {
    MPI_Abort(MPI_COMM_WORLD, code);
    _Exit(code);
}
