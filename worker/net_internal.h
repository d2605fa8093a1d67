/* The inside of a net, for net*.c and for tests that look behind net.h. */
#ifndef WORKER_NET_INTERNAL_H
#define WORKER_NET_INTERNAL_H

#include "worker/loss.h"
#include "worker/memory_plan.h"

struct net {
    struct graph graph;
    struct net_options options;
    const struct kernels *kernels;
    const struct loss_operations *loss; /* NULL: none */
    const void *loss_options;
    struct value *output;

    size_t vector_size;
    struct parameter **parameter; /* [graph.parameters], in packed order */
    struct arena weights;
    float *place; /* where the weights are: there, or where they were moved */

    struct memory_plan plan;
    struct arena arena;
    struct layer_run run;

    float *picture_metrics; /* [NET_METRICS][pictures]: by picture, of one output */
    float *leaf_metrics;    /* [leaves][NET_METRICS] */

    /* For tests: fills memory that nobody may read any more with not-a-number. */
    bool poison;
};

/* Sets every data pointer to its place in the arena, as planned. */
void net_place(struct net *net);

/* Zeroes the borders of the storages that begin to live at `time`: their memory held something else
 * before. */
void net_begin_storages(const struct net *net, int time, int pictures);

/* The parts of net_forward: the input, then one layer (false: it does not run in this pass). */
void net_load_input(struct net *net, const struct pass *pass, const float *pixels);
bool net_forward_layer(struct net *net, const struct pass *pass, int index);

/* The losses of all outputs: their sums by subtree into pass->gradient (where given), and the
 * gradients of the outputs (in a training pass of a training net). */
void net_run_losses(struct net *net, const struct pass *pass, const struct target *targets);

#endif
