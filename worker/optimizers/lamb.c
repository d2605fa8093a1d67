/* Layer-wise adaptive moments for batches (You et al., "Large batch optimization for deep learning:
 * training BERT in 76 minutes", 2019): u = the direction of the moments + decay * w, and
 *
 *     w -= rate * |w| / |u| * u
 *
 * by the norms of the whole parameter and of its u. Where either is 0, w -= rate * u.
 */
#include "worker/optimizers/moments.h"

struct lamb_options {
    struct moments_options moments;
    struct optimizer_decay decay;
    struct optimizer_trust adapts;
};

static const struct option lamb_options[] = {MOMENTS_OPTIONS(struct lamb_options, moments, "1e-06"),
    OPTIMIZER_DECAY(struct lamb_options, decay, "0.01", "added to the direction, times the weight"),
    OPTIMIZER_TRUST(struct lamb_options, adapts), OPTIONS_END};

enum { WEIGHTS, DIRECTION };

/* Moves the moments on: the update finds them so. */
static void measure(double squares[NORMS], const struct optimizer_piece *piece, const void *options,
    const struct optimizer_step *step) {
    const struct lamb_options *o = options;
    const float *w = piece->weights, *gradient = piece->gradient;
    float *m = piece->state[0], *v = piece->state[1], direction[NORMS_BLOCK];
    const float scale = piece->scale, decay = optimizer_decay_of(&o->decay, piece->kind);
    const struct moments moments = moments_of(&o->moments, step);
#pragma omp simd
    for (size_t i = 0; i < piece->count; i++) {
        moments_move(&m[i], &v[i], gradient[i] * scale, &moments);
        direction[i] = moments_direction(m[i], v[i], &moments) + decay * w[i];
    }
    if (optimizer_trusts(&o->adapts, piece->kind)) {
        squares[WEIGHTS] = norms_square_sum(w, piece->count);
        squares[DIRECTION] = norms_square_sum(direction, piece->count);
    }
}

static void update(const struct optimizer_piece *piece, const void *options,
    const struct optimizer_step *step, const struct kernels *kernels) {
    (void)kernels;
    const struct lamb_options *o = options;
    float *w = piece->weights;
    const float *m = piece->state[0], *v = piece->state[1];
    const float decay = optimizer_decay_of(&o->decay, piece->kind);
    const double weights = piece->norm[WEIGHTS], direction = piece->norm[DIRECTION];
    const double trust = weights > 0 && direction > 0 ? weights / direction : 1;
    const float rate = (float)(step->rate * trust);
    const struct moments moments = moments_of(&o->moments, step);
#pragma omp simd
    for (size_t i = 0; i < piece->count; i++) {
        w[i] -= rate * (moments_direction(m[i], v[i], &moments) + decay * w[i]);
    }
}

const struct optimizer_operations optimizer_lamb = {
    .kind = {.name = "lamb",
        .help = "adamw with steps in proportion to each parameter's norm, for large batches",
        .options = lamb_options,
        .options_size = sizeof(struct lamb_options)},
    .vectors = MOMENTS_VECTORS,
    .vector_names = moments_names,
    .measure = measure,
    .update = update,
};
