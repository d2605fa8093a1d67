/* The profile of a network's step: what a rank computes, and when gradients become final. */
#ifndef BENCH_SCALING_PROFILE_H
#define BENCH_SCALING_PROFILE_H

#include "base/status.h"

#include <stddef.h>

#define PROFILE_PARTS 4096

/* Part 0 is forward, the last one the update of all weights; those between are backward, and after
 * each the next so many floats of the gradient are final. */
struct profile {
    int parts;
    double seconds[PROFILE_PARTS];
    size_t floats[PROFILE_PARTS];
    size_t vector_size; /* floats in all */
};

/* Reads lines "seconds floats" (profile.py), and divides all seconds by `speed`. STATUS_USAGE where
 * the file is something else. */
status profile_read(struct profile *profile, const char *path, double speed);

#endif
