/* Everything that flows through a net in one pass, in planar doubles; and each layer held against
 * its reference by itself: the reference is given what the engine's layer was given. */
#ifndef TESTS_WORKER_SUPPORT_NET_TRACE_H
#define TESTS_WORKER_SUPPORT_NET_TRACE_H

#include "worker/support/net_case.h"

struct net_trace {
    double **activation; /* [graph.values]; NULL: not made in this pass */
    double **gradient;   /* [graph.values]; NULL: none wanted */
};

/* Runs the pass of an unfused case and records it. Asserts that borders and padding lanes are zero.
 */
void net_trace_run(struct net_trace *trace, struct net_case *c);
void net_trace_release(struct net_trace *trace, const struct net_case *c);

/* Asserts that layer `index` gave what its reference gives, within `tolerance` of the largest
 * value of each result. */
void net_trace_compare(
    const struct net_trace *trace, const struct net_case *c, int index, double tolerance);

/* Asserts that the reference's backward of layer `index` is the derivative of its forward, by
 * differences in random directions, at random values. */
void net_trace_differences(const struct net_case *c, int index);

#endif
