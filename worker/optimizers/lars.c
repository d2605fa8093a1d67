/* Layer-wise adaptive rate scaling (You, Gitman, Ginsburg, "Large batch training of convolutional
 * networks", 2017): every parameter has a rate of its own,
 *
 *     local = trust * |w| / (|g| + decay * |w|)
 *     v = momentum * v + rate * local * (g + decay * w);  w -= v
 *
 * by the norms of the whole parameter and of its gradient. Where either is 0, local = 1.
 */
#include "worker/optimizers/common.h"

struct lars_options {
    double momentum, trust;
    struct optimizer_decay decay;
    struct optimizer_trust adapts;
};

static const struct option lars_options[] = {
    OPTIMIZER_REAL(struct lars_options, momentum, "momentum", "0.9", 0, 0.9999,
        "share of the last change that goes on"),
    OPTIMIZER_REAL(struct lars_options, trust, "trust", "0.001", 1e-9, 1e3,
        "size of a step of rate 1, as a share of the parameter's norm"),
    OPTIMIZER_DECAY(
        struct lars_options, decay, "0.0005", "added to the gradient, times the weight"),
    OPTIMIZER_TRUST(struct lars_options, adapts), OPTIONS_END};

static const char *const vector_names[] = {"momentum"};

enum { WEIGHTS, GRADIENT };

static void measure(double squares[NORMS], const struct optimizer_piece *piece, const void *options,
    const struct optimizer_step *step) {
    (void)step;
    const struct lars_options *o = options;
    if (optimizer_trusts(&o->adapts, piece->kind)) {
        squares[WEIGHTS] = norms_square_sum(piece->weights, piece->count);
        squares[GRADIENT] = norms_square_sum(piece->gradient, piece->count);
    }
}

static double local_rate(
    const struct optimizer_piece *piece, const struct lars_options *o, double decay) {
    double weights = piece->norm[WEIGHTS], gradient = piece->norm[GRADIENT] * (double)piece->scale;
    return weights > 0 && gradient > 0 ? o->trust * weights / (gradient + decay * weights) : 1;
}

/* No fused multiply-adds: plain operations, which any compiler makes vector code of. */
static void update(const struct optimizer_piece *piece, const void *options,
    const struct optimizer_step *step, const struct kernels *kernels) {
    (void)kernels;
    const struct lars_options *o = options;
    float *w = piece->weights, *v = piece->state[0];
    const float *gradient = piece->gradient;
    const float scale = piece->scale, decay = optimizer_decay_of(&o->decay, piece->kind);
    const float momentum = (float)o->momentum;
    const float rate = (float)(step->rate * local_rate(piece, o, (double)decay));
#pragma omp simd
    for (size_t i = 0; i < piece->count; i++) {
        float g = gradient[i] * scale + decay * w[i];
        v[i] = momentum * v[i] + rate * g;
        w[i] -= v[i];
    }
}

const struct optimizer_operations optimizer_lars = {
    .kind = {.name = "lars",
        .help = "momentum with a rate for each parameter by its norm, for large batches",
        .options = lars_options,
        .options_size = sizeof(struct lars_options)},
    .vectors = 1,
    .vector_names = vector_names,
    .measure = measure,
    .update = update,
};
