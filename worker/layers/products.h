/* What conv and linear share: both are planned convolutions with a weight and a bias. */
#ifndef WORKER_LAYERS_PRODUCTS_H
#define WORKER_LAYERS_PRODUCTS_H

#include "worker/kernels/convolution.h"
#include "worker/layer.h"

/* Plans all of the layer. `weight` declares the weight (suffix, dimensions, fans, initialiser); the
 * rest of it is filled in here. */
status products_plan(struct layer *layer, const struct layer_plan *plan,
    const struct convolution_shape *shape, const struct parameter_declaration *weight, bool bias);
void products_forward(
    const struct layer *layer, const struct layer_run *run, const struct pass *pass);
void products_backward(
    const struct layer *layer, const struct layer_run *run, const struct pass *pass);
void products_release(struct layer *layer);

#endif
