/* Steps that every rank takes by itself, and the averages of what they made (worker/step.h). */
#include "worker/step_internal.h"

#include "worker/exchange/vector.h"

#include <assert.h>
#include <string.h>

bool step_is_local(const struct step *step) {
    return step->options.local && step->optimizer != NULL;
}

int step_average_leaves(int ranks) {
    int leaves = 1;
    while (leaves < ranks) {
        leaves *= 2;
    }
    return leaves;
}

/* The sums over the rank's subtrees, from left to right, in the first one's place; the metrics as
 * they are, for the sum over all ranks. */
static void add_up(struct step *step) {
    const struct tree_counter *counter = &step->partials.counter;
    for (int b = 0; b < counter->count; b++) {
        if (tree_subtree_pictures(step->pictures, step->options.leaves, counter->stack[b]) == 0) {
            continue;
        }
        vector_copy(step->metric_buffer[b], step->gradient_buffer[b], NET_METRICS);
        if (b > 0) {
            vector_add(step->gradient_buffer[0], step->gradient_buffer[0], step->gradient_buffer[b],
                step->vector_size);
        }
    }
}

status step_update_own(struct step *step) {
    const int64_t own = step_pictures(step, step->pictures);
    step_lap(step, &step->times.waiting);
    if (own > 0) {
        const struct activity_now before =
            activity_enter(step->transport->activity, ACTIVITY_UPDATE, -1);
        add_up(step);
        step->update.pictures = own;
        optimizer_update_all(step->optimizer, step->gradient_buffer[0], &step->update);
        activity_leave(step->transport->activity, before);
    }
    step->own_pictures += own;
    step->all_pictures += step->pictures;
    step_lap(step, &step->times.compute);
    return exchange_sum(step->metrics, step->pictures);
}

/* The vectors that ranks have each for themselves: the weights, then the optimizer's. */
static float *own_vector(struct step *step, int number) {
    return number == 0 ? net_weights(step->net) : optimizer_vector(step->optimizer, number - 1);
}

static int own_vectors(const struct step *step) {
    return 1 + optimizer_vector_count(step->optimizer);
}

static void scale(float *scaled, const float *vector, float share, size_t size, int threads) {
#pragma omp parallel for simd num_threads(threads) schedule(static)
    for (size_t i = 0; i < size; i++) {
        scaled[i] = share * vector[i];
    }
}

status step_average(struct step *step) {
    const struct exchange_options *options = &step->gradient_options;
    const int rank = step->transport->rank, ranks = step->transport->ranks;
    const double share = (double)step->own_pictures / (double)step->all_pictures;
    struct subtree cover[TREE_SUBTREES_LIMIT];
    int subtrees = tree_cover(cover, tree_rank_first(rank, ranks, options->leaves),
        tree_rank_leaves(rank, ranks, options->leaves), 0);
    assert(step_is_local(step) && step->all_pictures > 0);
    for (int v = 0; v < own_vectors(step); v++) {
        float *vector = own_vector(step, v);
        scale(exchange_vector(step->gradients, 0), vector, (float)share, step->vector_size,
            options->threads);
        for (int s = 1; s < subtrees; s++) {
            memset(exchange_vector(step->gradients, s), 0, step->vector_size * sizeof(float));
        }
        TRY(exchange_sum(step->gradients, options->leaves));
        vector_copy(vector, exchange_results(step->gradients), step->vector_size);
    }
    step->own_pictures = step->all_pictures = 0;
    return STATUS_OK;
}

int64_t step_average_bytes(const struct step *step) {
    const struct exchange_map map = exchange_get_map(step->gradients);
    return own_vectors(step) *
           exchange_bytes(&step->gradient_options, &map, step->gradient_options.leaves);
}

status step_spread_own(struct step *step) {
    float *shared = exchange_results(step->gradients);
    for (int v = 0; v < own_vectors(step); v++) {
        float *vector = own_vector(step, v);
        if (step->transport->rank == 0) {
            vector_copy(shared, vector, step->vector_size);
        }
        TRY(exchange_spread(step->gradients));
        vector_copy(vector, shared, step->vector_size);
        TRY(agreement_status(step->transport, STATUS_OK)); /* the next one waits for all to read */
    }
    return STATUS_OK;
}
