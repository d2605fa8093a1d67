/* The clocks of all ranks against that of rank 0. */
#ifndef TRAINER_CLOCKS_H
#define TRAINER_CLOCKS_H

#include "worker/exchange/transport.h"

/* For all ranks: the seconds to add to this rank's activity_clock for rank 0's, now. Rank 0 asks
 * each rank in turn some times and believes the quickest answer (Cristian 1989): wrong by half the
 * time that it was on its way, at most. */
status clocks_compare(double *offset, struct transport *transport);

#endif
