/* How many bytes each algorithm makes a rank send, from what the algorithm is and not from how it
 * is written: nothing here is shared with the code that sends. Ranks of a node send each other
 * nothing.
 */
#include "worker/exchange/exchange.h"

#include <stdbool.h>

struct job {
    int node, nodes, leaves;
    int filled;  /* leaves with pictures */
    bool equals; /* a power of two of nodes, of equal leaves */
    int64_t grain;
    const struct exchange_map *map;
};

static int first_leaf(const struct job *job, int node) {
    return tree_rank_first(job->map->first[node], job->map->ranks, job->leaves);
}

static bool filled(const struct job *job, int node) {
    return first_leaf(job, node) < job->filled;
}

static bool have_equal_leaves(const struct job *job) {
    for (int n = 0; n < job->nodes; n++) {
        if ((first_leaf(job, n + 1) - first_leaf(job, n)) * job->nodes != job->leaves) {
            return false;
        }
    }
    return tree_is_power_of_two(job->nodes);
}

/* Floats of `grains` grains, of which the vector's last one is short. */
static int64_t floats_of(const struct job *job, int64_t grains, bool last, int64_t size) {
    int64_t missing = (size + job->grain - 1) / job->grain * job->grain - size;
    return grains * job->grain - (last && grains > 0 ? missing : 0);
}

/* Halving k times in two, bit i of the node taking the longer half: floor((n + low k bits) / 2^k)
 * of n grains, the last ones where all bits are set. */
static int64_t halved(const struct job *job, int64_t size, int node, int times) {
    int64_t parts = (int64_t)1 << times, grains = (size + job->grain - 1) / job->grain;
    return floats_of(job, (grains + node % parts) / parts, node % parts == parts - 1, size);
}

/* A group of 2^i nodes sends from the first step on in which one of them has pictures; from there
 * a node gives away all but its slice. On the way back it sends what it has: slice, then double. */
static int64_t halving_floats(const struct job *job, int64_t size, bool halve) {
    int first = 0, steps = 0;
    while (1 << steps < job->nodes) {
        steps++;
    }
    while (first < steps && !filled(job, job->node - job->node % (1 << first))) {
        first++;
    }
    if (!halve) {
        return size * (steps - first);
    }
    int64_t floats = halved(job, size, job->node, first) - halved(job, size, job->node, steps);
    for (int k = steps; k >= 1; k--) {
        floats += halved(job, size, job->node, k);
    }
    return floats;
}

/* The first of `parts` slices, all together: of n grains floor(n * slice / parts). */
static int64_t slices_before(const struct job *job, int64_t size, int64_t slice, int64_t parts) {
    int64_t grains = (size + job->grain - 1) / job->grain;
    return floats_of(job, grains * slice / parts, slice == parts, size);
}

static int64_t slice(const struct job *job, int64_t size, int64_t number, int64_t parts) {
    return slices_before(job, size, number + 1, parts) - slices_before(job, size, number, parts);
}

/* The maximal subtrees of a node that begin before leaf `end`. */
static int64_t subtrees(const struct job *job, int node, int end) {
    struct subtree cover[TREE_SUBTREES_LIMIT];
    int first = first_leaf(job, node);
    int64_t before = 0;
    for (int s = tree_cover(cover, first, first_leaf(job, node + 1) - first, 0); s > 0; s--) {
        before += cover[s - 1].first < end;
    }
    return before;
}

/* Small: all subtrees with pictures to all others. Else these but for the own slice, then the own
 * slice to all others. */
static int64_t partials_floats(const struct job *job, int64_t size, bool small) {
    int64_t sent = subtrees(job, job->node, job->filled);
    if (small) {
        return sent * size * (job->nodes - 1);
    }
    int64_t own = slice(job, size, job->node, job->nodes);
    return sent * (size - own) + own * (job->nodes - 1);
}

/* Whether a column goes to all others at once. */
static bool goes_to_all(const struct job *job, int64_t size, int64_t small) {
    int64_t others = -1;
    for (int n = 0; n < job->nodes; n++) {
        others += subtrees(job, n, job->leaves);
    }
    return size <= small && size * others <= 2 * small;
}

/* In each round all slices but one: the next one's in the first, the one after's in the second. */
static int64_t ring_floats(const struct job *job, int64_t size) {
    int64_t floats = 2 * size;
    for (int ahead = 1; ahead <= 2; ahead++) {
        floats -= slice(job, size, (job->node + ahead) % job->nodes, job->nodes);
    }
    return floats;
}

/* All but the own slice of the sums to their owners, then the own slice of the results to all
 * others. The first `exact` elements are twice as long. */
static int64_t narrow_bytes(const struct job *job, int64_t size, int64_t exact) {
    int64_t from = slices_before(job, size, job->node, job->nodes);
    int64_t own = slice(job, size, job->node, job->nodes);
    int64_t own_exact = exact < from ? 0 : exact - from < own ? exact - from : own;
    int64_t halves = size + exact - own - own_exact + (own + own_exact) * (job->nodes - 1);
    return halves * 2;
}

/* A column that begins at element `from`. */
static int64_t column_bytes(
    const struct exchange_options *options, const struct job *job, int64_t from, int64_t size) {
    const int64_t bytes = (int64_t)sizeof(float);
    if (size == 0) {
        return 0;
    }
    if (options->wire == EXCHANGE_BF16) {
        int64_t exact = (int64_t)options->exact - from;
        return narrow_bytes(job, size, exact < 0 ? 0 : exact < size ? exact : size);
    }
    if (options->algorithm == EXCHANGE_NATIVE) {
        return bytes * size; /* what the transport is given */
    }
    if (options->algorithm == EXCHANGE_RING) {
        return bytes * ring_floats(job, size);
    }
    const int64_t small = (int64_t)options->small_bucket;
    if (!job->equals) {
        return bytes * partials_floats(job, size, goes_to_all(job, size, small));
    }
    const bool few = job->nodes <= 4;
    if (size <= (few ? 2 * small : small)) {
        return bytes * halving_floats(job, size, false);
    }
    const bool sliced = few && job->nodes > 2 && size >= EXCHANGE_SLICED_COLUMN;
    return bytes * (sliced ? partials_floats(job, size, false) : halving_floats(job, size, true));
}

int64_t exchange_bytes(
    const struct exchange_options *options, const struct exchange_map *map, int64_t pictures) {
    struct job job = {
        .nodes = map->nodes,
        .leaves = options->leaves,
        .filled = pictures < options->leaves ? (int)pictures : options->leaves,
        .grain = options->grain > 0 ? (int64_t)options->grain : 1,
        .map = map,
    };
    int columns = 0, ranks = 0; /* of the largest node, and of this one */
    for (int n = 0; n < map->nodes; n++) {
        int count = map->first[n + 1] - map->first[n];
        columns = count > columns ? count : columns;
        if (map->first[n] <= map->rank && map->rank < map->first[n + 1]) {
            job.node = n;
            ranks = count;
        }
    }
    if (job.filled == 0 || job.nodes == 1) {
        return 0;
    }
    job.equals = have_equal_leaves(&job);
    int64_t bytes = 0, all = (int64_t)options->vector_size;
    int64_t most = ((int64_t)options->bucket_size + job.grain - 1) / job.grain * job.grain;
    for (int64_t left = all, size; left > 0; left -= size) {
        size = left < most ? left : most;
        for (int c = map->rank - map->first[job.node]; c < columns; c += ranks) {
            bytes += column_bytes(options, &job, all - left + slices_before(&job, size, c, columns),
                slice(&job, size, c, columns));
        }
    }
    return bytes;
}
