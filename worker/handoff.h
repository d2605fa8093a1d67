/* A layer hands what it makes on to the next, run by run of rows (worker/kernels/epilogue.h), while
 * it lies in cache: the next need not read it again from memory for what it does first.
 *
 * Forward, a convolution rectifies its own output (where it carries a relu), then batch norm takes
 * the sums of a leaf. Backward, whoever makes the gradient of a value hands it to the layer that
 * made the value: a fork adds its other gradients and hands the sum on; a convolution that carries
 * a relu sets to zero what that held back; batch norm does so and takes its two sums.
 *
 * No bit changes: who takes nothing does the same over the same runs in a pass of its own.
 */
#ifndef WORKER_HANDOFF_H
#define WORKER_HANDOFF_H

#include "worker/kernels/epilogue.h"
#include "worker/layer.h"

struct handoff {
    struct epilogue epilogue;
    const struct layer *layer;
    const struct layer_run *run;
    const struct pass *pass;
};

/* The epilogue of the layer's forward, and of its backward for the gradient of input 0; NULL: there
 * is nothing to do. It lives in *handoff. */
const struct epilogue *handoff_output(struct handoff *handoff, const struct layer *layer,
    const struct layer_run *run, const struct pass *pass);
const struct epilogue *handoff_gradient(struct handoff *handoff, const struct layer *layer,
    const struct layer_run *run, const struct pass *pass);

#endif
