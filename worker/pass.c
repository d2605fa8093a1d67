#include "worker/pass.h"

#include <stddef.h>

#include <string.h>

void pass_fold_leaves(float *const *out, float *values, int count, const struct pass *pass) {
    for (int s = 0; s < pass->subtrees; s++) {
        const struct subtree subtree = pass->subtree[s];
        const int *start = pass->leaf_start + subtree.first;
        float *leaf = values + (ptrdiff_t)subtree.first * count;
        /* Level by level: the node of leaves [l, l + 2 * half) takes the place of its left child.
         * An empty child is skipped. */
        for (int half = 1; half < subtree.leaves; half *= 2) {
            for (int l = 0; l < subtree.leaves; l += 2 * half) {
                bool left = start[l + half] > start[l];
                bool right = start[l + 2 * half] > start[l + half];
                float *into = leaf + (ptrdiff_t)l * count;
                const float *from = into + (ptrdiff_t)half * count;
                if (left && right) {
                    for (int i = 0; i < count; i++) {
                        into[i] += from[i];
                    }
                } else if (right) {
                    memcpy(into, from, (size_t)count * sizeof(float));
                }
            }
        }
        if (start[subtree.leaves] > start[0]) {
            memcpy(out[s], leaf, (size_t)count * sizeof(float));
        } else {
            memset(out[s], 0, (size_t)count * sizeof(float));
        }
    }
}
