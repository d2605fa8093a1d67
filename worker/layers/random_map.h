/* Layers that treat every element at random (dropout, rrelu).
 *
 * The number of an element is a pure function of (seed, layer, step, position of the picture in the
 * step, element); backward asks it again, so nothing is saved. Elements are numbered in the order
 * (channel block, row, column, channel in the block), four to a random block.
 */
#ifndef WORKER_LAYERS_RANDOM_MAP_H
#define WORKER_LAYERS_RANDOM_MAP_H

#include "worker/layer.h"

/* out[i] = f(in[i], by[i], uniform[i]) of some pixels of a row, `count` elements, with uniform
 * numbers in [0, 1). */
typedef void (*random_pixels)(float *out, const float *in, const float *by, const float *uniform,
    size_t count, const struct layer *layer, const struct kernels *kernels);

/* For every pixel of the pass; `by` is a third tensor of the same shape (or `in` again). */
void random_map(const struct layer *layer, const struct layer_run *run, const struct pass *pass,
    const struct tensor *out, const struct tensor *in, const struct tensor *by,
    random_pixels pixels);

#endif
