/* Stochastic gradient descent with momentum, Nesterov's if asked for, and weight decay, as PyTorch
 * has them: g = gradient + decay * w; v = momentum * v + g; w -= rate * (v, or g + momentum * v).
 */
#include "worker/optimizers/common.h"

struct sgd_options {
    double momentum;
    bool nesterov;
    struct optimizer_decay decay;
};

static const struct option sgd_options[] = {
    OPTIMIZER_REAL(struct sgd_options, momentum, "momentum", "0.9", 0, 0.9999,
        "share of the last change that goes on"),
    OPTIMIZER_SWITCH(struct sgd_options, nesterov, "nesterov", "false",
        "look ahead by one step of momentum (Nesterov)"),
    OPTIMIZER_DECAY(struct sgd_options, decay, "0", "added to the gradient, times the weight"),
    OPTIONS_END};

static const char *const vector_names[] = {"momentum"};

static void update(const struct optimizer_piece *piece, const void *options,
    const struct optimizer_step *step, const struct kernels *kernels) {
    const struct sgd_options *o = options;
    const struct elementwise_descent descent = {
        .inverse_pictures = piece->scale,
        .rate = (float)step->rate,
        .momentum = (float)o->momentum,
        .weight_decay = optimizer_decay_of(&o->decay, piece->kind),
        .nesterov = o->nesterov,
    };
    kernels->elementwise.descend(
        piece->weights, piece->state[0], piece->gradient, piece->count, &descent);
}

const struct optimizer_operations optimizer_sgd = {
    .kind = {.name = "sgd",
        .help = "stochastic gradient descent with momentum",
        .options = sgd_options,
        .options_size = sizeof(struct sgd_options)},
    .vectors = 1,
    .vector_names = vector_names,
    .update = update,
};
