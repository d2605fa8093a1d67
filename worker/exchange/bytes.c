/* How many bytes each algorithm makes a rank send, from what the algorithm is and not from how it
 * is written: nothing here is shared with the code that sends.
 */
#include "worker/exchange/algorithm.h"

struct job {
    int rank, ranks, leaves;
    int filled; /* leaves with pictures */
};

static bool filled(const struct job *job, int rank) {
    return tree_rank_first(rank, job->ranks, job->leaves) < job->filled;
}

/* Halving k times in two, bit i of the rank taking the longer half: floor((n + low k bits) / 2^k).
 */
static int64_t halved(int64_t size, int rank, int times) {
    int64_t parts = (int64_t)1 << times;
    return (size + rank % parts) / parts;
}

/* A group of 2^i ranks sends from the first step on in which one of them has pictures; from there
 * a rank gives away all but its slice. On the way back it sends what it has: slice, then double. */
static int64_t halving_bytes(int64_t size, const struct job *job, bool halve) {
    int64_t floats = 0;
    int first = 0, steps = 0;
    while (1 << steps < job->ranks) {
        steps++;
    }
    while (first < steps && !filled(job, job->rank - job->rank % (1 << first))) {
        first++;
    }
    if (!halve) {
        return size * (steps - first);
    }
    floats += halved(size, job->rank, first) - halved(size, job->rank, steps);
    for (int k = steps; k >= 1; k--) {
        floats += halved(size, job->rank, k);
    }
    return floats;
}

/* All subtrees with pictures but for the own slice of them, then the own slice to all others. */
static int64_t partials_bytes(int64_t size, const struct job *job) {
    struct subtree cover[TREE_SUBTREES_LIMIT];
    int subtrees = tree_cover(cover, tree_rank_first(job->rank, job->ranks, job->leaves),
        tree_rank_leaves(job->rank, job->ranks, job->leaves), 0);
    int64_t sent = 0;
    for (int s = 0; s < subtrees; s++) {
        sent += cover[s].first < job->filled;
    }
    int64_t own = (int64_t)(slice_start((size_t)size, job->rank + 1, job->ranks) -
                            slice_start((size_t)size, job->rank, job->ranks));
    return sent * (size - own) + own * (job->ranks - 1);
}

/* In each round all slices but one: the next one's in the first, the one after's in the second. */
static int64_t ring_bytes(int64_t size, const struct job *job) {
    int64_t floats = 2 * size;
    for (int ahead = 1; ahead <= 2; ahead++) {
        int other = (job->rank + ahead) % job->ranks;
        floats -= (int64_t)(slice_start((size_t)size, other + 1, job->ranks) -
                            slice_start((size_t)size, other, job->ranks));
    }
    return floats;
}

int64_t exchange_bytes(
    const struct exchange_options *options, int rank, int ranks, int64_t pictures) {
    struct job job = {
        rank, ranks, options->leaves, pictures < options->leaves ? (int)pictures : options->leaves};
    if (job.filled == 0 || ranks == 1) {
        return 0;
    }
    int64_t floats = 0;
    for (size_t from = 0, size; from < options->vector_size; from += size) {
        size = options->vector_size - from;
        size = size < options->bucket_size ? size : options->bucket_size;
        const struct algorithm *algorithm = algorithm_choose(options, ranks, size);
        if (algorithm == &algorithm_ring) {
            floats += ring_bytes((int64_t)size, &job);
        } else if (algorithm == &algorithm_partials) {
            floats += partials_bytes((int64_t)size, &job);
        } else {
            floats += halving_bytes((int64_t)size, &job, algorithm == &algorithm_halving);
        }
    }
    return floats * (int64_t)sizeof(float);
}
