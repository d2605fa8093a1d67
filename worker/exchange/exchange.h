/* The sum of the gradients over all ranks, by the leaf tree (base/tree.h), and what is made of it,
 * the weights: in buckets that start while backward still runs.
 *
 * The owner computes. A bucket is reduced so that every element's sum is in one place; who has it
 * makes the result of it (the new weights, by a callback); the results are gathered. The bytes of
 * an allreduce, and neither the update nor its momentum is done or held twice.
 *
 * In a node, ranks share memory (share.h): everyone's partial sums, and one vector of results. A
 * bucket is cut into columns, as many as the largest node has ranks, and every rank drives its
 * share of them: once all ranks of the node have finished a bucket it adds up its column straight
 * from their vectors and, where there is but one node, makes and writes the results in the same
 * pass. No rank sends anything, and none locks: counters tell how far each is.
 *
 * Between nodes a column is an exchange of its own among the ranks that drive it, one a node; all
 * columns and several buckets are under way together. Nodes that are a power of two and have equal
 * parts of the tree do it by recursive distance doubling (partner 1, 2, 4, ...) with vector
 * halving, and gather the same way back (Thakur, Rabenseifner, Gropp 2005, with the order of
 * partners that keeps the tree). Otherwise, and where large columns have few nodes, a node sends
 * each of its subtrees to the owner of every slice, who finishes the tree. What is small goes whole
 * instead, doubled or to all nodes. Ranks that share no memory are nodes of one.
 *
 * All ranks must make the same calls with the same sizes in the same order. [all] marks what waits
 * for others.
 */
#ifndef WORKER_EXCHANGE_EXCHANGE_H
#define WORKER_EXCHANGE_EXCHANGE_H

#include "base/tree.h"
#include "worker/exchange/transport.h"

enum exchange_algorithm {
    EXCHANGE_TREE,
    /* These break the promise of the same bits, and share no memory: */
    EXCHANGE_RING,   /* sums in ring order; for comparison only */
    EXCHANGE_NATIVE, /* sums by the transport's own `sum`: of MPI, MPI_Iallreduce */
};

/* Who moves it on while the rank computes. The bits are the same. */
enum exchange_progress_by {
    EXCHANGE_INLINE, /* the rank, in exchange_ready and exchange_progress */
    EXCHANGE_THREAD, /* a thread of the exchange's own, until exchange_finish: callbacks come from
                        it */
    /* A thread between nodes where the transport can have one, else the rank: two ranks on two
     * hosts of one core trained resnet18 in 0.90 of the time with a thread (0.89 at 1 Gbit/s, the
     * same at 10), and on one node in the same. */
    EXCHANGE_AUTO,
};

/* What goes between nodes. bf16 breaks the promise too: the bits then depend on how the leaves lie
 * on nodes, though on nothing else. It is for the tree alone, whose sums inside a node stay as they
 * are, and for makers that go on from what the results were (narrow.c). */
enum exchange_wire { EXCHANGE_FLOAT32, EXCHANGE_BF16 };

/* 32 KiB: the time of such a message is latency, and Open MPI still sends it over TCP without
 * asking first. */
#define EXCHANGE_SMALL_BUCKET 8192
/* Of at most 4 nodes, columns of so many floats are sliced, not halved. 256 KiB: a message of a
 * quarter still goes without asking first, and one of a half does not. */
#define EXCHANGE_SLICED_COLUMN 65536

struct exchange_options {
    enum exchange_algorithm algorithm;
    enum exchange_progress_by progress;
    enum exchange_wire wire;
    size_t exact;       /* with bf16, the first so many elements go as they are */
    int leaves;         /* M */
    size_t vector_size; /* floats */
    size_t bucket_size; /* floats a bucket, at least 1, and below 2 GiB; rounded up to `grain` */
    /* Columns up to so many floats (EXCHANGE_SMALL_BUCKET; 0: none), and of at most 4 nodes up to
     * twice as many, are neither halved nor sliced: every node sends and adds all of it, the same
     * tree in half as many rounds of messages, and owns it. What would be sliced goes to all at
     * once, where others' subtrees are at most twice as many floats together. */
    size_t small_bucket;
    size_t grain; /* everything is cut at multiples of so many floats; 0: 1 */
    int vectors;  /* that this rank wants; at least its maximal subtrees, which 0 stands for */
    int threads;  /* that add and make results; 0: 1 */
    bool alone;   /* share no memory though the transport could */
    bool hold;    /* no result is made before exchange_finish: see exchange_finish_sums */
};

struct exchange;

/* [all] Takes all the memory it will need: the vectors, and scratch for EXCHANGE_SLOTS columns, the
 * most that are under way at a time. Where a rank cannot share memory, all stand alone.
 * STATUS_USAGE where there are more ranks than leaves, sizes out of range, or a thread is asked for
 * that the transport cannot have. */
#define EXCHANGE_SLOTS 8
status exchange_create(struct exchange **exchange, struct transport *transport,
    const struct exchange_options *options);
void exchange_destroy(struct exchange *exchange);

/* This rank's vectors, for its partial sums; and the vector of results, which ranks that share
 * memory have together. They live as long as the exchange. */
float *exchange_vector(struct exchange *exchange, int index);
float *exchange_results(struct exchange *exchange);
/* Why no memory is shared though it was to be; NULL: nothing went wrong. */
const char *exchange_problem(const struct exchange *exchange);

/* Makes results[0 .. count) of the sums sum[0 .. count): elements from `from` on of the vector, any
 * cut at multiples of the grain. Called on several threads at a time; must not touch anything else
 * of the exchange. */
struct exchange_maker {
    void (*make)(void *context, float *results, const float *sum, size_t from, size_t count);
    void *context;
};

/* Begins a step of `pictures` pictures. Vector k holds the sum over the rank's k-th maximal aligned
 * subtree (tree_cover of the rank's run), overwritten as it is used; of a subtree without pictures
 * it is never read. `maker` NULL: the results are the sums, and zero where there are no pictures at
 * all; else it is borrowed until the end, and called where there are any. */
status exchange_begin(
    struct exchange *exchange, int64_t pictures, const struct exchange_maker *maker);
/* Elements [from, to) of every vector are final, and this rank has no more use for these elements
 * of the present results: starts every bucket that is now complete. Ranges come in order from 0
 * without gaps. */
status exchange_ready(struct exchange *exchange, size_t from, size_t to);
/* Moves everything on as far as it goes without waiting; with a thread does nothing. */
status exchange_progress(struct exchange *exchange);
/* [all] Waits until all results are there for this rank, and its vectors are its own again. */
status exchange_finish(struct exchange *exchange);
/* [all] With `hold`, before exchange_finish: waits for the sums of this rank's own pieces. They are
 * in *sums, a whole vector of which only these elements count. */
status exchange_finish_sums(struct exchange *exchange, float **sums);
/* [all] All of it at once, for small vectors (validation): begin, ready, finish. */
status exchange_sum(struct exchange *exchange, int64_t pictures);

/* The pieces that this rank makes results of: [*from, *to) is piece 0 <= i < exchange_pieces, may
 * be empty. With small columns, or MPI's own sum, a piece is several nodes'. */
size_t exchange_pieces(const struct exchange *exchange);
void exchange_piece(size_t *from, size_t *to, const struct exchange *exchange, size_t i);

/* Vectors that lie in pieces with those who own them, as momentum does (owners.c). */

/* [all] Brings elements [from, to) to packed[0 ..] on rank 0, from `vector` of their owners. */
status exchange_collect(
    struct exchange *exchange, float *packed, const float *vector, size_t from, size_t to);
/* [all] Brings them from packed[0 ..] of rank 0 to `vector` of their owners. */
status exchange_deal(
    struct exchange *exchange, float *vector, const float *packed, size_t from, size_t to);
/* [all] Brings rank 0's results to all. */
status exchange_spread(struct exchange *exchange);
/* [all] Brings all of it to all: to *whole, which is the place of partial sums, good until the next
 * step and the same memory for ranks that share it. */
status exchange_assemble(struct exchange *exchange, float **whole, const float *vector);

/* What bf16 on the wire has left out, which belongs to a checkpoint: vector 0 what owners owe to
 * the results, vector 1 + n what node n has not sent of its sums. 0 vectors where all goes as it
 * is. [all] Collects and deals them as above. */
int exchange_left_count(const struct exchange *exchange);
status exchange_collect_left(
    struct exchange *exchange, float *packed, int vector, size_t from, size_t to);
status exchange_deal_left(
    struct exchange *exchange, const float *packed, int vector, size_t from, size_t to);

/* Columns now under way, and the most that ever were at one time. Not while a thread is at it. */
int exchange_in_flight(const struct exchange *exchange);
int exchange_most_in_flight(const struct exchange *exchange);

/* The nodes as an exchange sees them: those of the transport, or every rank for itself. */
struct exchange_map {
    int rank, ranks, nodes;
    const int *first; /* [nodes + 1]: the ranks of a node */
};
struct exchange_map exchange_get_map(const struct exchange *exchange);

/* Who moves it on: never EXCHANGE_AUTO, but what that chose. */
enum exchange_progress_by exchange_get_progress(const struct exchange *exchange);

/* The bytes that the algorithm makes this rank send for one step of `pictures` pictures: the
 * formula, worked out apart from the code that sends. */
int64_t exchange_bytes(
    const struct exchange_options *options, const struct exchange_map *map, int64_t pictures);

#endif
