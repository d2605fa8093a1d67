/* What the ranks of a node have together: for exchange.c alone. Their vectors of partial sums, one
 * vector of results, and two counters each that tell how far a rank is; a rank that shares no
 * memory has a node to itself.
 */
#ifndef WORKER_EXCHANGE_NODE_H
#define WORKER_EXCHANGE_NODE_H

#include "base/memory.h"
#include "worker/exchange/exchange.h"
#include "worker/exchange/share.h"

#include <stdatomic.h>

#define NODE_STRIP                                                                                 \
    2048 /* floats added up at a time: they stay in the cache until they are used                  \
          */

/* Both only rise. Each rank writes its own and reads all. */
struct node_counters {
    _Atomic uint64_t ready; /* steps * (vector_size + 1) + elements that are final in this one */
    _Atomic uint64_t done;  /* steps of which all its columns are done */
};

struct node {
    int rank, ranks; /* of the node */
    size_t vector_size;
    float *results;
    float **vector; /* own */
    struct node_counters **counters;
    /* The partial sums of all ranks, from left to right, and the vectors where those of the node
     * are put: where the first part of each was. */
    int subtrees;
    struct subtree *subtree;
    float **partial, *home[TREE_SUBTREES_LIMIT];
    int depth;     /* of sums that are held at a time */
    uint64_t step; /* steps begun */
    struct share share;
    struct arena arena; /* where nothing is shared */
};

/* [node] `first` and `ranks`: the ranks of the node; `job_ranks`: all. `shared` false: a node of
 * this rank alone. STATUS_SYSTEM, and then on all ranks of the node. */
status node_init(struct node *node, struct transport *transport,
    const struct exchange_options *options, bool shared);
void node_release(struct node *node);

/* Own elements [0, to) of this step are final. */
void node_set_ready(struct node *node, size_t to);
/* Whether elements [0, to) are final on all ranks. */
bool node_is_ready(const struct node *node, size_t to);
/* This rank is done with all its columns of the step; whether all ranks are. */
void node_set_done(struct node *node);
bool node_is_done(const struct node *node);

/* Adds up elements [from, to), at most NODE_STRIP, of all ranks as the tree says: sum[k] is where
 * the node's k-th maximal subtree begins, in scratch[depth][NODE_STRIP] or, where there was nothing
 * to add, in place. */
void node_add(float *sum[TREE_SUBTREES_LIMIT], const struct node *node, int filled, float *scratch,
    size_t from, size_t to);

#endif
