/* What an exchange is made of: for exchange*.c and owners.c alone. */
#ifndef WORKER_EXCHANGE_EXCHANGE_INTERNAL_H
#define WORKER_EXCHANGE_EXCHANGE_INTERNAL_H

#include "worker/exchange/algorithm.h"
#include "worker/exchange/node.h"

/* Where a column stands. */
enum stage {
    STAGE_FREE,
    STAGE_ADD,    /* waits for all ranks of the node, then adds up their sums */
    STAGE_REDUCE, /* between nodes */
    STAGE_MAKE,   /* results of sums */
    STAGE_GATHER, /* between nodes */
};

struct slot {
    enum stage stage;
    size_t from; /* of the column in the vector */
    int64_t bucket;
    double began; /* by activity_clock */
    struct column column;
};

struct progress_thread;

struct exchange {
    struct plan plan;
    struct exchange_options options;
    struct node node;
    struct arena residual, owed; /* with bf16 on the wire: whole vectors, of which the own columns,
                                    and the own pieces, count */
    char *problem;               /* why no memory is shared; or NULL */
    int *ranks;                  /* [ranks + 1]: first ranks of nodes of one */
    /* A bucket has `columns`; this rank drives `own` of them in each, its rank on the node and
     * every node_ranks-th from there. Its tasks are numbered by bucket, then column; task t runs in
     * slot t % slots. */
    int columns, own;
    size_t buckets, tasks;
    int slots;
    struct slot slot[EXCHANGE_SLOTS];
    struct arena scratch; /* of the slots */
    float *strips;        /* [threads][depth][NODE_STRIP] */
    size_t strip_size;    /* floats a thread */
    struct transport_request *requests;
    int in_flight, most_in_flight;
    struct progress_thread *thread; /* or NULL */
    int adding;                     /* threads that add and make results now */
    /* The step under way. */
    const struct exchange_maker *maker; /* or NULL */
    _Atomic size_t ready;               /* floats that are final here */
    size_t next;                        /* task to start */
    enum stage first, last;             /* of the tasks: with `hold` in two goes */
    bool moved;
};

/* Elements of column `column` of bucket `bucket`. */
struct range exchange_column(const struct exchange *exchange, size_t bucket, int column);

/* Moves everything on as far as it goes without waiting: who has the exchange calls it. */
status exchange_advance(struct exchange *exchange);

/* exchange_left.c: the memory of what bf16 on the wire has left out, where it does, and a column's
 * place in it. */
status exchange_take_left(struct exchange *exchange);
void exchange_place_left(struct column *column, const struct exchange *exchange, size_t from);
float *exchange_left_vector(const struct exchange *exchange, int vector);

/* exchange_add.c: the passes over memory, on all threads. */

/* Adds up the column over the ranks of the node; where the sum is complete, and nobody asked to
 * hold it, makes its results. */
void exchange_add(struct exchange *exchange, const struct slot *slot);
/* Makes the results of elements [from, to), whose sums are in partial[0]. */
void exchange_make(struct exchange *exchange, size_t from, size_t to);

#endif
