#include "worker/exchange/node.h"

#include "worker/exchange/vector.h"

#include <stdlib.h>

/* A rank's part: its counters on a page of their own; on the first rank the results; its vectors.
 */
#define VECTORS (VECTOR_PAGE + VECTOR_BEGIN)

static size_t vector_bytes(const struct node *node) {
    return (node->vector_size * sizeof(float) + VECTOR_PAGE - 1) / VECTOR_PAGE * VECTOR_PAGE;
}

static float *vector_in(const struct node *node, unsigned char *part, int rank, int index) {
    size_t before = (size_t)index + (rank == 0 ? 1 : 0); /* the results of the first */
    return (float *)(void *)(part + VECTORS + before * vector_bytes(node));
}

static status take_memory(struct node *node, struct transport *transport, int vectors,
    unsigned char **part, int threads, bool shared) {
    size_t size = VECTORS + ((size_t)vectors + (node->rank == 0 ? 1 : 0)) * vector_bytes(node);
    if (shared) {
        TRY(share_create(&node->share, transport, size));
        for (int r = 0; r < node->ranks; r++) {
            part[r] = node->share.part[r];
        }
        return STATUS_OK;
    }
    TRY(arena_init(&node->arena, size, threads));
    part[0] = node->arena.base;
    return STATUS_OK;
}

/* The subtrees of all ranks of the node, whose first is `first`. */
static int cover_of(struct subtree cover[TREE_SUBTREES_LIMIT], int rank, int ranks, int leaves) {
    return tree_cover(
        cover, tree_rank_first(rank, ranks, leaves), tree_rank_leaves(rank, ranks, leaves), 0);
}

static status list_partials(
    struct node *node, const struct transport *transport, unsigned char *const *part, int leaves) {
    struct subtree cover[TREE_SUBTREES_LIMIT];
    struct tree_counter counter = {0};
    size_t room = (size_t)node->ranks * TREE_SUBTREES_LIMIT;
    int first = transport->rank - node->rank;
    TRY(MEMORY_ALLOCATE(&node->subtree, room));
    TRY(MEMORY_ALLOCATE(&node->partial, room));
    for (int r = 0; r < node->ranks; r++) {
        int subtrees = cover_of(cover, first + r, transport->ranks, leaves);
        for (int s = 0; s < subtrees; s++) {
            int slot = tree_counter_push(&counter, cover[s]), into, from;
            node->subtree[node->subtrees] = cover[s];
            node->partial[node->subtrees] = vector_in(node, part[r], r, s);
            node->home[slot] = node->partial[node->subtrees++];
            node->depth = counter.count > node->depth ? counter.count : node->depth;
            while (tree_counter_merge(&counter, &into, &from)) {
            }
        }
    }
    return STATUS_OK;
}

static status init(struct node *node, struct transport *transport,
    const struct exchange_options *options, bool shared) {
    struct subtree cover[TREE_SUBTREES_LIMIT];
    unsigned char **part = NULL;
    int subtrees = cover_of(cover, transport->rank, transport->ranks, options->leaves);
    int vectors = options->vectors > subtrees ? options->vectors : subtrees;
    TRY(MEMORY_ALLOCATE(&node->vector, (size_t)vectors));
    TRY(MEMORY_ALLOCATE(&node->counters, (size_t)node->ranks));
    TRY(MEMORY_ALLOCATE(&part, (size_t)node->ranks));
    status result;
    TRY_TO(done, result, take_memory(node, transport, vectors, part, options->threads, shared));
    node->results = (float *)(void *)(part[0] + VECTORS);
    for (int v = 0; v < vectors; v++) {
        node->vector[v] = vector_in(node, part[node->rank], node->rank, v);
    }
    for (int r = 0; r < node->ranks; r++) {
        node->counters[r] = (struct node_counters *)(void *)part[r];
    }
    result = list_partials(node, transport, part, options->leaves);
done:
    free(part);
    return result;
}

status node_init(struct node *node, struct transport *transport,
    const struct exchange_options *options, bool shared) {
    *node = (struct node){
        .rank = shared ? transport->node_rank : 0,
        .ranks = shared ? transport->node_ranks : 1,
        .vector_size = options->vector_size,
    };
    status result = init(node, transport, options, shared);
    if (result != STATUS_OK) {
        node_release(node);
    }
    return result;
}

void node_release(struct node *node) {
    if (node->share.part != NULL) {
        share_release(&node->share);
    }
    arena_release(&node->arena);
    free(node->counters);
    free(node->vector);
    free(node->subtree);
    free(node->partial);
    *node = (struct node){0};
}

static uint64_t ready_value(const struct node *node, size_t to) {
    return node->step * ((uint64_t)node->vector_size + 1) + to;
}

/* Release and acquire: whoever sees the counter sees what was written before it. */
void node_set_ready(struct node *node, size_t to) {
    atomic_store_explicit(
        &node->counters[node->rank]->ready, ready_value(node, to), memory_order_release);
}

bool node_is_ready(const struct node *node, size_t to) {
    bool ready = true;
    for (int r = 0; r < node->ranks && ready; r++) {
        ready = atomic_load_explicit(&node->counters[r]->ready, memory_order_acquire) >=
                ready_value(node, to);
    }
    return ready;
}

void node_set_done(struct node *node) {
    atomic_store_explicit(&node->counters[node->rank]->done, node->step, memory_order_release);
}

bool node_is_done(const struct node *node) {
    bool done = true;
    for (int r = 0; r < node->ranks && done; r++) {
        done = atomic_load_explicit(&node->counters[r]->done, memory_order_acquire) >= node->step;
    }
    return done;
}

void node_add(float *sum[TREE_SUBTREES_LIMIT], const struct node *node, int filled, float *scratch,
    size_t from, size_t to) {
    struct tree_counter counter = {0};
    for (int s = 0; s < node->subtrees; s++) {
        int into, right;
        sum[tree_counter_push(&counter, node->subtree[s])] = node->partial[s] + from;
        while (tree_counter_merge(&counter, &into, &right)) {
            if (counter.stack[right].first < filled) {
                float *place = scratch + (size_t)into * NODE_STRIP;
                vector_add(place, sum[into], sum[right], to - from);
                sum[into] = place;
            }
        }
    }
}
