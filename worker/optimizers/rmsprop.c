/* RMSprop (Tieleman and Hinton, lecture 6.5 of "Neural networks for machine learning", 2012), as
 * PyTorch has it: eps is added to the root, and the rate stands outside of the momentum
 * (TensorFlow's adds eps below the root and takes the rate into the momentum).
 *
 *     g = gradient + decay * w;  s = smoothing * s + (1 - smoothing) * g^2
 *     v = momentum * v + g / (sqrt(s) + eps);  w -= rate * v
 */
#include "worker/optimizers/common.h"

#include <math.h>

struct rmsprop_options {
    double smoothing, eps, momentum;
    struct optimizer_decay decay;
};

static const struct option rmsprop_options[] = {
    OPTIMIZER_REAL(struct rmsprop_options, smoothing, "smoothing", "0.99", 0, 0.999999,
        "share of the average of squares that stays (PyTorch's alpha)"),
    OPTIMIZER_REAL(struct rmsprop_options, eps, "eps", "1e-08", 1e-15, 1,
        "added to the root of the average of squares"),
    OPTIMIZER_REAL(struct rmsprop_options, momentum, "momentum", "0", 0, 0.9999,
        "share of the last change that goes on"),
    OPTIMIZER_DECAY(struct rmsprop_options, decay, "0", "added to the gradient, times the weight"),
    OPTIONS_END};

static const char *const vector_names[] = {"square_avg", "momentum"};

static void update(const struct optimizer_piece *piece, const void *options,
    const struct optimizer_step *step, const struct kernels *kernels) {
    (void)kernels;
    const struct rmsprop_options *o = options;
    float *w = piece->weights, *s = piece->state[0], *v = piece->state[1];
    const float *gradient = piece->gradient;
    const float scale = piece->scale, decay = optimizer_decay_of(&o->decay, piece->kind);
    const float stays = (float)o->smoothing, comes = (float)(1 - o->smoothing);
    const float eps = (float)o->eps, momentum = (float)o->momentum, rate = (float)step->rate;
#pragma omp simd
    for (size_t i = 0; i < piece->count; i++) {
        float g = gradient[i] * scale + decay * w[i];
        s[i] = stays * s[i] + comes * g * g;
        v[i] = momentum * v[i] + g / (sqrtf(s[i]) + eps);
        w[i] -= rate * v[i];
    }
}

const struct optimizer_operations optimizer_rmsprop = {
    .kind = {.name = "rmsprop",
        .help = "gradients over the root of the average of their squares",
        .options = rmsprop_options,
        .options_size = sizeof(struct rmsprop_options)},
    .vectors = 2,
    .vector_names = vector_names,
    .update = update,
};
