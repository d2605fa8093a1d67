/* Weights of another tool. */
#ifndef TESTS_WORKER_SUPPORT_WEIGHTS_H
#define TESTS_WORKER_SUPPORT_WEIGHTS_H

#include "worker/net.h"

/* Reads every parameter of the net by its name, in standard order, from a safetensors file, which
 * may hold more. Fails with STATUS_INPUT where one is missing or has another shape. */
status weights_load(struct net *net, const char *path);

#endif
