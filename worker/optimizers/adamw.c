/* Adam with decoupled weight decay (Loshchilov and Hutter, "Decoupled weight decay regularization",
 * 2019), as PyTorch has it: w -= rate * decay * w, then w -= rate * the direction of the moments.
 */
#include "worker/optimizers/moments.h"

struct adamw_options {
    struct moments_options moments;
    struct optimizer_decay decay;
};

static const struct option adamw_options[] = {
    MOMENTS_OPTIONS(struct adamw_options, moments, "1e-08"),
    OPTIMIZER_DECAY(struct adamw_options, decay, "0.01",
        "share of the weight that a step of rate 1 takes away"),
    OPTIONS_END};

static void update(const struct optimizer_piece *piece, const void *options,
    const struct optimizer_step *step, const struct kernels *kernels) {
    (void)kernels;
    const struct adamw_options *o = options;
    float *w = piece->weights, *m = piece->state[0], *v = piece->state[1];
    const float *gradient = piece->gradient;
    const float scale = piece->scale, rate = (float)step->rate;
    const double decay = (double)optimizer_decay_of(&o->decay, piece->kind);
    const float kept = (float)(1 - step->rate * decay);
    const struct moments moments = moments_of(&o->moments, step);
#pragma omp simd
    for (size_t i = 0; i < piece->count; i++) {
        moments_move(&m[i], &v[i], gradient[i] * scale, &moments);
        w[i] = w[i] * kept - rate * moments_direction(m[i], v[i], &moments);
    }
}

const struct optimizer_operations optimizer_adamw = {
    .kind = {.name = "adamw",
        .help = "Adam with decoupled weight decay",
        .options = adamw_options,
        .options_size = sizeof(struct adamw_options)},
    .vectors = MOMENTS_VECTORS,
    .vector_names = moments_names,
    .update = update,
};
