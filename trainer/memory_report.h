/* What a training run will take of memory, by what it is for: what inspect prints of a recipe.
 *
 * Two figures each, in bytes as they are reserved. One of rank 0, whose share of a batch is as
 * large as any; what the ranks of a node have together is counted where it lies, with the first of
 * them. The other of a whole node. Not counted are buckets under way between nodes (a few a rank),
 * and pages of the data set's files, which the system keeps in memory as long as nobody else wants
 * it.
 */
#ifndef TRAINER_MEMORY_REPORT_H
#define TRAINER_MEMORY_REPORT_H

#include "trainer/recipe.h"
#include "worker/net.h"

#include <jansson.h>
#include <stdio.h>

enum memory_part {
    MEMORY_PROGRAM,     /* what this process used when asked, before it planned anything */
    MEMORY_WEIGHTS,     /* and running statistics: once a node, unless ranks share none */
    MEMORY_OPTIMIZER,   /* its vectors, the average of weights among them: once over all ranks,
                           unless each has them for itself */
    MEMORY_GRADIENTS,   /* a vector a rank, or a few with chunks or an uneven share */
    MEMORY_ACTIVATIONS, /* values, their gradients, and what layers keep for backward */
    MEMORY_SCRATCH,
    MEMORY_BATCHES, /* of the loader, held ready */
    MEMORY_PASSING, /* the most of: a validation's batches; a checkpoint's largest tensor, twice;
                       every rank's weights before those of the node are there */
    MEMORY_PARTS
};

struct memory_report {
    int node_ranks; /* of the fullest node */
    int threads;    /* of each rank, with which scratch grows */
    struct memory_bytes {
        size_t rank, node;
    } part[MEMORY_PARTS];
};

/* Bytes that this process holds now. */
size_t memory_report_now(void);

/* `net` as planned for rank 0 of `ranks` on `nodes`, with `threads` each; `program` as
 * memory_report_now gave it before. */
struct memory_job {
    int ranks, nodes, threads;
    size_t program;
};
status memory_report_make(struct memory_report *report, const struct recipe *recipe,
    const struct net *net, const struct memory_job *job);

struct memory_bytes memory_report_sum(const struct memory_report *report);

void memory_report_print(FILE *out, const struct memory_report *report);
/* {"rank": {part: bytes, ..., "sum": bytes}, "node": {the same}, "threads": of a rank}, owned by
 * the caller. */
json_t *memory_report_json(const struct memory_report *report);

#endif
