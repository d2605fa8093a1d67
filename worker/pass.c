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

/* The sum over leaves [0, leaves) of values[leaves][count] into values[0]. */
static void fold_doubles(double *values, int count, const int *start, int leaves) {
    for (int half = 1; half < leaves; half *= 2) {
        for (int l = 0; l + half < leaves; l += 2 * half) {
            int end = l + 2 * half < leaves ? l + 2 * half : leaves;
            double *into = values + (ptrdiff_t)l * count;
            const double *from = into + (ptrdiff_t)half * count;
            /* Leaves fill up from the first: where the left one is empty the right one is too. */
            for (int i = 0; start[end] > start[l + half] && i < count; i++) {
                into[i] += from[i];
            }
        }
    }
}

void pass_sum_batch(double *values, double *scratch, int count, const struct pass *pass) {
    if (pass->batch == NULL) {
        fold_doubles(values, count, pass->leaf_start, pass->leaves);
        return;
    }
    for (int s = 0; s < pass->subtrees; s++) {
        const struct subtree subtree = pass->subtree[s];
        double *sum = values + (ptrdiff_t)subtree.first * count;
        fold_doubles(sum, count, pass->leaf_start + subtree.first, subtree.leaves);
        memmove(values + (ptrdiff_t)s * count, sum, (size_t)count * sizeof(double));
    }
    pass->batch->sum(pass->batch->context, values, scratch, count);
}

int64_t pass_batch_pictures(const struct pass *pass) {
    return pass->batch != NULL ? pass->batch->pictures : pass->pictures;
}
