/* What conv, conv_transpose and linear share: all are planned convolutions with a weight and a
 * bias.
 */
#ifndef WORKER_LAYERS_PRODUCTS_H
#define WORKER_LAYERS_PRODUCTS_H

#include "worker/kernels/convolution.h"
#include "worker/layer.h"

enum { PRODUCTS_WEIGHT, PRODUCTS_BIAS }; /* the layer's parameters */

/* convolution_output, with the layer's line in the error. */
status products_output(
    struct shape *output, const struct layer *layer, const struct convolution_shape *shape);
/* Plans the convolution and declares its parameters; the output's shape is already set. The layer's
 * borders, and the shape and the kernels that it shows, are left to the caller. */
status products_declare(struct layer *layer, const struct layer_plan *plan,
    const struct convolution_shape *shape, const struct parameter_declaration *weight, bool bias);
/* Shows the kernels of the planned convolution, or of the transposed one that it is planned for. */
status products_name_kernels(struct layer *layer, bool transposed);
/* Plans all of the layer. `weight` declares the weight (suffix, dimensions, fans, initialiser); the
 * rest of it is filled in here. */
status products_plan(struct layer *layer, const struct layer_plan *plan,
    const struct convolution_shape *shape, const struct parameter_declaration *weight, bool bias);
void products_forward(
    const struct layer *layer, const struct layer_run *run, const struct pass *pass);
void products_backward(
    const struct layer *layer, const struct layer_run *run, const struct pass *pass);
void products_take_gradient(const struct layer *layer, const struct layer_run *run,
    const struct pass *pass, const struct epilogue_run *rows);
void products_release(struct layer *layer);

#endif
