/* Any number of nodes, of any number of ranks. A node's run of leaves is a few maximal subtrees,
 * which no node may add up by itself. So each column is cut into as many slices as there are nodes;
 * every node sends the slices of all its partials to the slices' owners; the owner adds them up as
 * the tree says, and what is made of the sums is gathered:
 *
 *     3 nodes, M = 8  node 0: leaves 0 1       node 1: leaves 2 3 4       node 2: leaves 5 6 7
 *     subtrees                [0 1]                    [2 3] [4]                  [5] [6 7]
 *     owner of a slice adds   ([0 1] + [2 3]) + (([4] + [5]) + [6 7])
 *
 * Bytes: a node sends its subtrees, not one vector, so up to log2(M) times what halving sends.
 *
 * A small column is not sliced: every node sends all of its partials to all others, and each adds
 * up all of it and makes the results by itself. One round of messages in place of two.
 */
#include "worker/exchange/algorithm.h"

enum phase { PHASE_REDUCE, PHASE_GATHER };

static bool subtree_filled(const struct plan *plan, int subtree) {
    return plan->subtree[subtree].first < plan->filled;
}

static bool subtree_mine(const struct plan *plan, int subtree) {
    return subtree >= plan->first_subtree[plan->node] &&
           subtree < plan->first_subtree[plan->node + 1];
}

static struct range slice_owned(const struct plan *plan, size_t size, int node) {
    return slice_range(size, plan->grain, node, plan->nodes);
}

static struct range whole_owned(const struct plan *plan, size_t size, int node) {
    (void)plan;
    (void)node;
    return (struct range){0, size};
}

static struct range owned(const struct column *column, const struct plan *plan, int node) {
    return column->algorithm->owned(plan, column->size, node);
}

static size_t own_size(const struct column *column, const struct plan *plan) {
    struct range own = owned(column, plan, plan->node);
    return own.to - own.from;
}

static void need(size_t *scratch, size_t *requests, const struct plan *plan, size_t longest_slice) {
    int own = plan->first_subtree[plan->node + 1] - plan->first_subtree[plan->node];
    int all = plan->first_subtree[plan->nodes];
    *scratch = (size_t)(all - own) * longest_slice;
    /* Of other nodes' subtrees and to other nodes; the gather needs fewer. */
    *requests = (size_t)all + (size_t)own * (size_t)plan->nodes + 2 * (size_t)plan->nodes;
}

static void slice_need(size_t *scratch, size_t *requests, const struct plan *plan, size_t size) {
    size_t longest = (size / (size_t)plan->nodes / plan->grain + 2) * plan->grain;
    need(scratch, requests, plan, longest < size ? longest : size);
}

/* Where the slice of a subtree lies at its owner: in place, or in scratch as it was received. */
static float *slice_of(const struct column *column, const struct plan *plan, int subtree) {
    int first = plan->first_subtree[plan->node], end = plan->first_subtree[plan->node + 1];
    if (subtree_mine(plan, subtree)) {
        return column->partial[subtree - first] + owned(column, plan, plan->node).from;
    }
    int place = subtree < first ? subtree : subtree - (end - first);
    return column->scratch + (size_t)place * own_size(column, plan);
}

/* One request for each subtree, in the order in which they are added, then the sends. */
static status start_reduce(struct column *column, const struct plan *plan) {
    size_t size = own_size(column, plan);
    for (int node = 0; node < plan->nodes; node++) {
        for (int s = plan->first_subtree[node]; s < plan->first_subtree[node + 1]; s++) {
            bool comes = node != plan->node && subtree_filled(plan, s);
            TRY(column_receive(
                column, plan, node, PHASE_REDUCE, slice_of(column, plan, s), comes ? size : 0));
        }
    }
    int first = plan->first_subtree[plan->node], end = plan->first_subtree[plan->node + 1];
    for (int distance = 1; distance < plan->nodes; distance++) {
        int owner = (plan->node + distance) % plan->nodes;
        struct range theirs = owned(column, plan, owner);
        for (int s = first; s < end && subtree_filled(plan, s); s++) {
            TRY(column_send(column, plan, owner, PHASE_REDUCE,
                column->partial[s - first] + theirs.from, theirs.to - theirs.from));
        }
    }
    return STATUS_OK;
}

/* Adds subtree `s`, the next from the left, and all that is complete by it. */
static void add_subtree(struct column *column, const struct plan *plan, int s) {
    struct tree_counter *counter = &column->counter;
    int into, from;
    column->slice[tree_counter_push(counter, plan->subtree[s])] = slice_of(column, plan, s);
    while (tree_counter_merge(counter, &into, &from)) {
        if (counter->stack[from].first < plan->filled) {
            vector_add(column->slice[into], column->slice[into], column->slice[from],
                own_size(column, plan));
        }
    }
}

/* `at_once`: nothing is added before all has arrived, and what is sent is out, since it is added to
 * in place. */
static status reduce(struct column *column, const struct plan *plan, bool *done, bool at_once) {
    int subtrees = plan->first_subtree[plan->nodes];
    bool arrived = true;
    *done = false;
    if (!column->started) {
        TRY(start_reduce(column, plan));
        column->started = true;
    }
    while (arrived && column->added < subtrees) {
        int needed = at_once ? column->request_count : column->added + 1;
        TRY(column_test(column, plan, needed, &arrived));
        if (arrived) {
            add_subtree(column, plan, column->added++);
        }
    }
    if (arrived) {
        TRY(column_test(column, plan, column->request_count, done));
    }
    if (*done) {
        struct range own = owned(column, plan, plan->node);
        vector_copy(column->partial[0] + own.from, column->slice[0], own.to - own.from);
    }
    return STATUS_OK;
}

static status slice_reduce(struct column *column, const struct plan *plan, bool *done) {
    return reduce(column, plan, done, false);
}

static status whole_reduce(struct column *column, const struct plan *plan, bool *done) {
    return reduce(column, plan, done, true);
}

static status start_gather(struct column *column, const struct plan *plan) {
    struct range own = owned(column, plan, plan->node);
    column_reuse_requests(column);
    for (int distance = 1; distance < plan->nodes; distance++) {
        int to = (plan->node + distance) % plan->nodes;
        int from = (plan->node + plan->nodes - distance) % plan->nodes;
        struct range theirs = owned(column, plan, from);
        TRY(column_receive(
            column, plan, from, PHASE_GATHER, column->out + theirs.from, theirs.to - theirs.from));
        TRY(column_send(column, plan, to, PHASE_GATHER, column->out + own.from, own.to - own.from));
    }
    return STATUS_OK;
}

static status slice_gather(struct column *column, const struct plan *plan, bool *done) {
    if (!column->started) {
        TRY(start_gather(column, plan));
        column->started = true;
    }
    return column_test(column, plan, column->request_count, done);
}

static status whole_gather(struct column *column, const struct plan *plan, bool *done) {
    (void)column;
    (void)plan;
    *done = true; /* every node has made all results by itself */
    return STATUS_OK;
}

const struct algorithm algorithm_partials = {
    slice_need, slice_reduce, slice_gather, slice_owned, false};
const struct algorithm algorithm_whole = {need, whole_reduce, whole_gather, whole_owned, true};
