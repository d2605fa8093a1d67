/* What the tests of the exchange share, whether ranks are threads or processes: one case is a sum
 * over leaves with everything about it drawn from a seed, checked against the tree computed by
 * plain recursion. */
#ifndef TESTS_EXCHANGE_CASES_H
#define TESTS_EXCHANGE_CASES_H

#include "worker/exchange/exchange.h"

struct exchange_case {
    struct exchange_options options;
    int64_t pictures;
    uint64_t seed;
    bool slow;  /* ranks sleep at random points */
    bool makes; /* the results are made of the sums by a maker, from what they were before */
    int rounds; /* steps one after the other */
};

/* Case number `number` for this many ranks: the same on all ranks. Half of them use shared memory
 * where the transport has it. */
struct exchange_case case_draw(uint64_t number, int ranks, int leaves);

/* Element `element` of leaf `leaf`, of very different sizes so that order shows in the bits. */
float case_leaf_value(uint64_t seed, int leaf, size_t element);
/* Its sum over [first, first + leaves) by recursion; false where none of them has pictures. */
bool case_tree_value(float *sum, const struct exchange_case *c, int first, int leaves, size_t i);

/* The part of one rank. False and a line on stderr where bits or bytes are not as they must be. */
bool case_run(struct transport *transport, const struct exchange_case *c);

/* What became of the results, for what does not keep the tree. */
struct case_outcome {
    size_t differences; /* floats that are other than the tree's */
    double error;       /* the largest from sums in double, as a share of what was added up */
    uint64_t digest;    /* of the bits */
};
/* False and a line on stderr where bytes, or who owns what, are not as they must be. */
bool case_find_outcome(
    struct case_outcome *outcome, struct transport *transport, const struct exchange_case *c);

#endif
