/* What an algorithm between nodes is: for the files of this folder alone.
 *
 * It works on one column of a bucket (exchange.h): every node brings its partial sums and has one
 * rank that drives the column; ranks that share no memory are nodes of one. `reduce` and `gather`
 * move it on as far as it goes without waiting: they start sends and receives in the column's
 * requests, and once they are complete add and start the next ones. One table an algorithm;
 * exchange.c chooses one for each column by its size, the same on all ranks.
 */
#ifndef WORKER_EXCHANGE_ALGORITHM_H
#define WORKER_EXCHANGE_ALGORITHM_H

#include "worker/exchange/exchange.h"
#include "worker/exchange/vector.h"

/* What never changes after exchange_create, and what one step sets. */
struct plan {
    struct transport *transport;
    int node, nodes, leaves;
    const int *node_first;   /* [nodes + 1]: the ranks of a node */
    size_t grain;            /* cuts are made at multiples of it */
    size_t exact;            /* elements of the vector that are never rounded: the first */
    int *first_leaf;         /* [nodes + 1] */
    struct subtree *subtree; /* the maximal subtrees of all nodes, from left to right */
    int *first_subtree;      /* [nodes + 1]: node n has first_subtree[n] .. [n + 1] - 1 of them */
    bool aligned; /* a power of two of nodes, and each has one subtree, all of one size */
    int filled;   /* leaves [0, filled) have pictures in this step, the others none */
};

/* Floats [from, to) of a column. */
struct range {
    size_t from, to;
};

/* One column of a bucket under way, in one of the slots. */
struct column {
    const struct algorithm *algorithm;
    int number;  /* of the column, 0 .. columns - 1 */
    size_t size; /* floats */
    float
        *partial[TREE_SUBTREES_LIMIT]; /* where it begins in the node's partial sums: overwritten */
    float *out;                        /* and in the vector of results */
    /* With bf16 on the wire, where it begins in what was left out; and how many are not rounded. */
    float *residual, *owed;
    size_t exact;
    int tag; /* first of ALGORITHM_TAGS tags */
    float *scratch;
    struct transport_request *requests;
    int request_count; /* in use */
    int complete;      /* of these, from the first on, so many are known to be complete */
    /* The algorithm's own place, all zero at the start of reduce, and of gather: */
    int step;
    bool started; /* the messages of this step are under way */
    int added;    /* subtrees added so far, from the left, by `counter`, which leaves their sums */
    struct tree_counter counter;
    float *slice[TREE_SUBTREES_LIMIT]; /* at these places */
};

#define ALGORITHM_TAGS 4

struct algorithm {
    /* Floats of scratch and requests that a column of `size` floats takes at most. */
    void (*need)(size_t *scratch, size_t *requests, const struct plan *plan, size_t size);
    /* The sum over all nodes ends in partial[0], in the range that this node owns. Only called
     * where some leaf has pictures. */
    status (*reduce)(struct column *column, const struct plan *plan, bool *done);
    /* Takes `out` of the owned range to the other nodes, and theirs from them. */
    status (*gather)(struct column *column, const struct plan *plan, bool *done);
    /* The range that `node` owns of a column; with `shared` every node owns all of it. */
    struct range (*owned)(const struct plan *plan, size_t size, int node);
    bool shared;
};

/* Aligned nodes only: recursive distance doubling, with vector halving and with whole vectors. */
extern const struct algorithm algorithm_halving, algorithm_doubling;
/* Any number of nodes: every node sends its partials to the owners of the slices, or all of them to
 * all. */
extern const struct algorithm algorithm_partials, algorithm_whole;
/* Any number of nodes, in bf16. */
extern const struct algorithm algorithm_narrow;
/* Other sums: for comparison, and MPI's own. */
extern const struct algorithm algorithm_ring, algorithm_native;

/* The algorithm of a column of `size` floats. */
const struct algorithm *algorithm_choose(
    const struct exchange_options *options, const struct plan *plan, size_t size);

/* Takes the memory of a plan, whose transport, node, nodes, leaves, node_first and grain are set;
 * both of `ranks` ranks in all. */
status plan_init(struct plan *plan, int ranks);
void plan_release(struct plan *plan);

/* Whether `node` has pictures: leaves fill up from the first. */
bool plan_node_filled(const struct plan *plan, int node);

/* Adds up the node's own partial sums, from left to right, into partial[0]: zero where it has no
 * pictures. For algorithms that do not keep the tree. */
void column_add_up(struct column *column, const struct plan *plan);

/* Slice number `slice` of `slices` of a vector of `size` floats, cut at multiples of `grain`. */
struct range slice_range(size_t size, size_t grain, int slice, int slices);

/* Start a send or receive of `count` floats in the column's next request, to and from the rank that
 * drives this column on another node; nothing where count = 0, but a request is used up all the
 * same. `phase` < ALGORITHM_TAGS. */
status column_send(struct column *column, const struct plan *plan, int node, int phase,
    const float *values, size_t count);
status column_receive(struct column *column, const struct plan *plan, int node, int phase,
    float *values, size_t count);
/* The same with `size` bytes. */
status column_send_bytes(struct column *column, const struct plan *plan, int node, int phase,
    const void *bytes, size_t size);
status column_receive_bytes(
    struct column *column, const struct plan *plan, int node, int phase, void *bytes, size_t size);
/* Whether the first `count` requests are complete. */
status column_test(struct column *column, const struct plan *plan, int count, bool *done);
/* Takes all requests, complete, for use again. */
void column_reuse_requests(struct column *column);

#endif
