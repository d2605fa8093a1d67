/* Gradients of what a layer keeps by channel (scale, prelu): sums over the pixels and pictures of
 * each leaf, in a fixed order, ready for the tree. */
#ifndef WORKER_LAYERS_CHANNEL_SUMS_H
#define WORKER_LAYERS_CHANNEL_SUMS_H

#include "worker/layer.h"

/* By leaf and channel, padding lanes included: [leaves][blocks * 16], in the layer's scratch. */
struct channel_sums {
    float *sum, *product;
};

size_t channel_sums_scratch(const struct layer *layer, const struct layer_plan *plan); /* bytes */

/* The sums that `kernel` takes of a row of the output's gradient and the input around 0
 * (elementwise.gradient_sums, activation.prelu_moments): rows in float, then in double over the
 * rows of a picture and the pictures of a leaf. A leaf without pictures gets zeros. */
struct channel_sums channel_sums_run(const struct layer *layer, const struct layer_run *run,
    const struct pass *pass,
    void (*kernel)(float *sum, float *product, const float *gradient, const float *in,
        const float *around, size_t count));

#endif
