/* Optimizers: one file each in worker/optimizers/, registered in worker/optimizers/list.c.
 *
 * An update is elementwise over any range of the packed vector, so that whoever owns a range can
 * do it. Statistics (running mean and variance) are not the optimizer's: optimizer_update sees to
 * them by parameter kind.
 */
#ifndef WORKER_OPTIMIZER_H
#define WORKER_OPTIMIZER_H

#include "base/options.h"
#include "worker/net.h"

struct optimizer_step {
    double rate;
    int64_t pictures; /* the gradient is divided by it */
    int64_t step;     /* updates done before this one, from 0 */
};

struct optimizer_operations {
    struct kind kind;
    int vectors;                     /* of state: momentum is 1 */
    const char *const *vector_names; /* "momentum": names in the checkpoint */
    /* Updates weights[0..count) of one parameter from gradient[0..count) and state[v][0..count). */
    void (*update)(float *weights, float *const *state, const float *gradient, size_t count,
        enum parameter_kind kind, const void *options, const struct optimizer_step *step,
        const struct kernels *kernels);
};

extern const struct kind *const optimizers[]; /* NULL-terminated */

struct optimizer;
status optimizer_create(
    struct optimizer **optimizer, struct net *net, const struct choice *choice, int threads);
void optimizer_destroy(struct optimizer *optimizer);
/* Elements [from, to) of the packed vector, any cut; `gradient` is a whole vector, reduced. */
void optimizer_update(struct optimizer *optimizer, const float *gradient, size_t from, size_t to,
    const struct optimizer_step *step);
/* State vectors (packed, whole), by number and name, to save and load. */
int optimizer_vector_count(const struct optimizer *optimizer);
const char *optimizer_vector_name(const struct optimizer *optimizer, int vector);
float *optimizer_vector(struct optimizer *optimizer, int vector);

#endif
