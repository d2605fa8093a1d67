/* Memory that the ranks of a node share, so that they add from each other's vectors and have one
 * copy of the weights. Every rank brings a part of its own size; all see all parts.
 */
#ifndef WORKER_EXCHANGE_SHARE_H
#define WORKER_EXCHANGE_SHARE_H

#include "base/shared_memory.h"
#include "worker/exchange/transport.h"

struct share {
    unsigned char **part; /* [node_ranks]: where each begins here, aligned to a page at least */
    struct shared_memory memory;
    struct share_header *header; /* NULL: this process has a mapping of its own */
};

/* [node] Called by all ranks of the node, each with the size of its part: zeros, reserved in full.
 * Where it fails it does on all ranks of the node, with STATUS_SYSTEM. */
status share_create(struct share *share, struct transport *transport, size_t size);
/* Whoever leaves last takes the memory with it. */
void share_release(struct share *share);

#endif
