#include "ranks.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

struct thread {
    pthread_t thread;
    struct transport *transport;
    bool (*body)(struct transport *transport, void *context);
    void *context;
    bool good;
};

static void *thread_run(void *argument) {
    struct thread *thread = argument;
    thread->good = thread->body(thread->transport, thread->context);
    return NULL;
}

struct ranks_nodes ranks_draw_nodes(uint64_t number, int ranks, int most) {
    struct ranks_nodes nodes = {{0}};
    for (int n = 0, left = ranks; left > 0; n++) {
        number = number * 6364136223846793005u + 1442695040888963407u;
        int some = 1 + (int)((number >> 33) % (uint64_t)most);
        nodes.ranks[n] = some < left ? some : left;
        left -= nodes.ranks[n];
    }
    return nodes;
}

int ranks_run(int ranks, uint64_t delay_seed,
    bool (*body)(struct transport *transport, void *context), void *context) {
    return ranks_run_on(&(struct ranks_nodes){{ranks}}, ranks, delay_seed, body, context);
}

int ranks_run_on(const struct ranks_nodes *nodes, int ranks, uint64_t delay_seed,
    bool (*body)(struct transport *transport, void *context), void *context) {
    struct transport *transports[RANKS_LIMIT];
    struct thread threads[RANKS_LIMIT];
    if (ranks > RANKS_LIMIT ||
        transport_memory_create(transports, ranks, nodes->ranks, delay_seed) != STATUS_OK) {
        return ranks;
    }
    for (int r = 0; r < ranks; r++) {
        threads[r] = (struct thread){
            .transport = transports[r], .body = body, .context = context, .good = false};
        if (pthread_create(&threads[r].thread, NULL, thread_run, &threads[r]) != 0) {
            perror("pthread_create");
            abort(); /* the others would wait for it for ever */
        }
    }
    int failed = 0;
    for (int r = 0; r < ranks; r++) {
        pthread_join(threads[r].thread, NULL);
        failed += !threads[r].good;
    }
    for (int r = 0; r < ranks; r++) {
        transports[r]->destroy(transports[r]);
    }
    return failed;
}
