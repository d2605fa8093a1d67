/* A small net with pictures, targets and one pass, for tests. */
#ifndef TESTS_WORKER_SUPPORT_NET_CASE_H
#define TESTS_WORKER_SUPPORT_NET_CASE_H

#include "worker/net_internal.h"

#define NET_CASE_LEAVES 64

struct net_case_options {
    int pictures, leaves; /* of the pass; leaves may be empty */
    int threads;
    int limit; /* the most leaves of a subtree, a power of two; 0: no limit */
    bool evaluation;
    enum recompute recompute;
    bool unfused;    /* every layer does its own work, and every value can be looked at */
    const char *isa; /* NULL: the machine's */
};

struct net_case {
    struct document document;
    struct pool pool;
    struct choice loss;
    struct net *net;
    struct pass pass;
    int leaf_start[NET_CASE_LEAVES + 1];
    struct subtree subtree[NET_CASE_LEAVES];
    float *gradient[NET_CASE_LEAVES]; /* filled with not-a-number at first */
    float *pixels;
    struct target *targets;
};

/* Reads the model's text; asserts that there is no error. */
const struct node *net_case_parse(struct document *document, const char *model);

/* The status of net_create for a model, with `options` (NULL: one picture); destroys the net. */
status net_case_try(const char *model, const struct net_options *options);

/* The net with random weights and statistics, pictures and targets. */
void net_case_init(struct net_case *c, const char *model, const struct net_case_options *options);
void net_case_release(struct net_case *c);

/* The same weights, pictures and targets as another case of the same model and pictures. */
void net_case_copy(struct net_case *c, const struct net_case *from);

/* One pass: forward, and backward where it is training. */
void net_case_run(struct net_case *c);

/* Random numbers about normal, of deviation 1. */
float net_case_normal(void);

#endif
