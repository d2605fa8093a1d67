/* Parameters: what training changes and checkpoints keep, as a list of named views.
 *
 * All parameters of a net lie in one packed vector, in the order in which backward finishes them;
 * gradients and momentum are vectors of the same form, so that exchange and update are elementwise.
 * Inside the vector a weight is packed for the kernels; outside it has the standard order and the
 * standard name. Padding elements are zero in every such vector and stay so.
 */
#ifndef WORKER_PARAMETER_H
#define WORKER_PARAMETER_H

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

enum parameter_kind {
    PARAMETER_WEIGHT,
    PARAMETER_BIAS,
    PARAMETER_NORM,      /* scale and shift of a normalisation */
    PARAMETER_STATISTIC, /* running mean and variance: its "gradient" is the sum over leaves of
                            count * statistic, and its update one step of the average */
};

#define PARAMETER_DIMENSIONS 4

struct parameter {
    char *name; /* "conv1.weight" */
    enum parameter_kind kind;
    int dimensions;
    int64_t dimension[PARAMETER_DIMENSIONS]; /* standard order: O, I, KH, KW */
    int64_t elements;                        /* product of the dimensions */
    size_t offset;                           /* in the packed vector, in floats, a multiple of 16 */
    size_t packed;                           /* floats there, a multiple of 16, padding included */
    int layer;                               /* number of its layer */
    double momentum; /* PARAMETER_STATISTIC: share of the new value in the average */
    /* The packing. Both take the parameter's own part of a packed vector. NULL: a plain copy. */
    void (*pack)(float *packed, const float *standard, const struct parameter *parameter);
    void (*unpack)(float *standard, const float *packed, const struct parameter *parameter);
    const void *packing; /* the layer's own description of it */
};

/* Standard order into, and out of, a packed vector (weights, gradient or momentum). */
void parameter_pack(float *vector, const float *standard, const struct parameter *parameter);
void parameter_unpack(float *standard, const float *vector, const struct parameter *parameter);
/* The same with the parameter's own part alone, packed[parameter->packed]. */
void parameter_pack_part(float *packed, const float *standard, const struct parameter *parameter);
void parameter_unpack_part(float *standard, const float *packed, const struct parameter *parameter);

#endif
