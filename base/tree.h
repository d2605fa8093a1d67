/* The leaf tree: how a batch is cut and in which order its sums are taken.
 *
 * A step uses n pictures, cut into M leaves (a power of two): leaf l holds n / M of them, and one
 * more where l < n mod M, in order of position. n is batch = M * leaf but in the short last step of
 * an epoch, when trailing leaves may be empty. Every sum over pictures is first taken inside a leaf
 * in a fixed order, then over leaves by the balanced binary tree on the leaf number:
 *
 *     leaf     0   1   2   3   4   5   6   7
 *               \ /     \ /     \ /     \ /
 *                +       +       +       +
 *                 \     /         \     /
 *                    +               +
 *                      \           /
 *                            +
 *
 * where a node with an empty child is its other child (not a sum with zero). Rank r of P owns the
 * leaves [r*M/P, (r+1)*M/P): a run that is a few maximal aligned subtrees, exactly one where P is a
 * power of two. How the tree is cut over ranks, chunks and threads changes no addition.
 */
#ifndef BASE_TREE_H
#define BASE_TREE_H

#include <stdbool.h>
#include <stdint.h>

#define TREE_LEAVES_LIMIT   65536
#define TREE_SUBTREES_LIMIT 32 /* of one run: at most 2 * log2(M) */

/* The leaves [first, first + leaves), `leaves` a power of two that divides `first`. */
struct subtree {
    int first;
    int leaves;
};

bool tree_is_power_of_two(int64_t number);

/* Pictures of leaf `leaf`, and the position in the step of its first one, of `pictures` in M
 * leaves. tree_leaf_start(pictures, M, M) = pictures. */
int64_t tree_leaf_pictures(int64_t pictures, int leaves, int leaf);
int64_t tree_leaf_start(int64_t pictures, int leaves, int leaf);

/* Pictures of a whole subtree. */
int64_t tree_subtree_pictures(int64_t pictures, int leaves, struct subtree subtree);

/* The leaves of a rank. */
int tree_rank_first(int rank, int ranks, int leaves);
int tree_rank_leaves(int rank, int ranks, int leaves);

/* The maximal aligned subtrees of the run [first, first + count), in order, none of more than
 * `limit` leaves (a power of two; 0: no limit). Returns how many were written to `out`, whose room
 * must be TREE_SUBTREES_LIMIT where limit = 0 (else count / limit + TREE_SUBTREES_LIMIT). */
int tree_cover(struct subtree *out, int first, int count, int limit);

/* A binary counter: the way to sum a run of subtrees in tree order while they come one by one from
 * left to right, holding at most log2 of them. Push the next subtree; while tree_counter_merge says
 * so, add the topmost partial into the one below it. What is left are the maximal aligned subtrees.
 *
 *     slot = tree_counter_push(&counter, subtree);        compute the partial into slot
 *     while (tree_counter_merge(&counter, &into, &from))  partial[into] += partial[from]
 */
struct tree_counter {
    int count;
    struct subtree stack[TREE_SUBTREES_LIMIT];
};
int tree_counter_push(struct tree_counter *counter, struct subtree subtree);
bool tree_counter_merge(struct tree_counter *counter, int *into, int *from);

#endif
