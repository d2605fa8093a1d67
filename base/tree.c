#include "base/tree.h"

#include <assert.h>

bool tree_is_power_of_two(int64_t number) {
    return number > 0 && (number & (number - 1)) == 0;
}

int64_t tree_leaf_pictures(int64_t pictures, int leaves, int leaf) {
    return pictures / leaves + (leaf < pictures % leaves ? 1 : 0);
}

int64_t tree_leaf_start(int64_t pictures, int leaves, int leaf) {
    int64_t longer = pictures % leaves;
    return leaf * (pictures / leaves) + (leaf < longer ? leaf : longer);
}

int64_t tree_subtree_pictures(int64_t pictures, int leaves, struct subtree subtree) {
    return tree_leaf_start(pictures, leaves, subtree.first + subtree.leaves) -
           tree_leaf_start(pictures, leaves, subtree.first);
}

int tree_rank_first(int rank, int ranks, int leaves) {
    return (int)((int64_t)rank * leaves / ranks);
}

int tree_rank_leaves(int rank, int ranks, int leaves) {
    return tree_rank_first(rank + 1, ranks, leaves) - tree_rank_first(rank, ranks, leaves);
}

int tree_cover(struct subtree *out, int first, int count, int limit) {
    int written = 0;
    while (count > 0) {
        int leaves = first == 0 ? TREE_LEAVES_LIMIT : first & -first; /* aligned at `first` */
        while (leaves > count || (limit > 0 && leaves > limit)) {
            leaves /= 2;
        }
        out[written++] = (struct subtree){first, leaves};
        first += leaves;
        count -= leaves;
    }
    return written;
}

int tree_counter_push(struct tree_counter *counter, struct subtree subtree) {
    assert(counter->count < TREE_SUBTREES_LIMIT);
    counter->stack[counter->count] = subtree;
    return counter->count++;
}

bool tree_counter_merge(struct tree_counter *counter, int *into, int *from) {
    if (counter->count < 2) {
        return false;
    }
    struct subtree *left = &counter->stack[counter->count - 2];
    const struct subtree *right = &counter->stack[counter->count - 1];
    if (left->leaves != right->leaves || left->first % (2 * left->leaves) != 0 ||
        left->first + left->leaves != right->first) {
        return false;
    }
    left->leaves *= 2;
    *into = counter->count - 2;
    *from = counter->count - 1;
    counter->count--;
    return true;
}
