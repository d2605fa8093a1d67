/* Stochastic gradient descent with momentum, Nesterov's if asked for, and weight decay, as PyTorch
 * has them: g = gradient + decay * w; v = momentum * v + g; w -= rate * (v, or g + momentum * v).
 */
#include "worker/optimizer.h"

struct sgd_options {
    double momentum, weight_decay;
    bool nesterov, decay_bias, decay_norm;
};

#define SWITCH(field, initial_, help_)                                                             \
    {                                                                                              \
        .name = #field, .type = OPTION_SWITCH, .offset = offsetof(struct sgd_options, field),      \
        .initial = initial_, .flags = OPTION_CHANGES_BITS, .help = help_                           \
    }
static const struct option sgd_options[] = {{.name = "momentum",
                                                .type = OPTION_REAL,
                                                .offset = offsetof(struct sgd_options, momentum),
                                                .initial = "0.9",
                                                .low = 0,
                                                .high = 0.9999,
                                                .flags = OPTION_CHANGES_BITS,
                                                .help = "share of the last change that goes on"},
    SWITCH(nesterov, "false", "look ahead by one step of momentum (Nesterov)"),
    {.name = "weight_decay",
        .type = OPTION_REAL,
        .offset = offsetof(struct sgd_options, weight_decay),
        .initial = "0",
        .low = 0,
        .high = 1,
        .flags = OPTION_CHANGES_BITS,
        .help = "added to the gradient, times the weight"},
    SWITCH(decay_bias, "true", "whether biases decay too"),
    SWITCH(decay_norm, "true", "whether scales and shifts of batch norm decay too"), OPTIONS_END};

static const char *const vector_names[] = {"momentum"};

static void update(float *weights, float *const *state, const float *gradient, size_t count,
    enum parameter_kind kind, const void *options, const struct optimizer_step *step,
    const struct kernels *kernels) {
    const struct sgd_options *o = options;
    bool decays =
        (kind != PARAMETER_BIAS || o->decay_bias) && (kind != PARAMETER_NORM || o->decay_norm);
    const struct elementwise_descent descent = {
        .inverse_pictures = (float)(1.0 / (double)step->pictures),
        .rate = (float)step->rate,
        .momentum = (float)o->momentum,
        .weight_decay = decays ? (float)o->weight_decay : 0.0f,
        .nesterov = o->nesterov,
    };
    kernels->elementwise.descend(weights, state[0], gradient, count, &descent);
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
