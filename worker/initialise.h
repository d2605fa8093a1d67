/* First weights: the kinds of `initialise` that a layer's weights may name.
 *
 * Every number is a pure function of (seed, number of the parameter in the order of forward,
 * element in standard order): no packing, thread or rank can change it.
 */
#ifndef WORKER_INITIALISE_H
#define WORKER_INITIALISE_H

#include "base/options.h"

extern const struct kind *const initialisers[]; /* NULL-terminated */

/* The option of a layer: he unless said otherwise. */
#define INITIALISE_OPTION(type_, field, what)                                                      \
    {                                                                                              \
        .name = #field, .type = OPTION_CHOICE, .offset = offsetof(type_, field), .initial = "he",  \
        .flags = OPTION_CHANGES_BITS, .help = what, .kinds = initialisers                          \
    }

#endif
