/* The same convolution by oneDNN, for programs that time it beside ours: one thing for all three
 * directions. oneDNN chooses all layouts itself, and no reorder is counted. Its failures end the
 * program with a line that names the call. */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

#include "layer_case.h"

struct peer;

/* NULL where Convoy was built without oneDNN (peer_none.c). Runs on OpenMP's threads. */
struct peer *peer_create(const struct convolution_shape *shape, int pictures);
void peer_destroy(struct peer *peer); /* NULL is fine */
void peer_run(const struct peer *peer, enum direction direction);

#endif
