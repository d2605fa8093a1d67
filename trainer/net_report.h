/* A network as a table of layers: what inspect prints of recipes, models and checkpoints. */
#ifndef TRAINER_NET_REPORT_H
#define TRAINER_NET_REPORT_H

#include "worker/net.h"

#include <jansson.h>
#include <stdio.h>

/* Name, kind, output shape, parameters, multiply-adds, MiB of values and scratch in a pass, and
 * kernel of every layer, then sums and memory. */
void net_report_print(FILE *out, const struct net *net);

/* The same as a JSON object, owned by the caller. */
json_t *net_report_json(const struct net *net);

#endif
