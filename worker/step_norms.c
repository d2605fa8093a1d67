#include "worker/step_internal.h"

status step_take_norms(struct step *step) {
    size_t count;
    if (optimizer_rounds(step->optimizer) == 0) {
        return STATUS_OK;
    }
    optimizer_sums(step->optimizer, &count);
    return MEMORY_ALLOCATE(&step->other_norms, count);
}

/* By MPI's own sum, and in steps of its own, every rank has, and measures, everything. */
static bool measures_all(const struct step *step) {
    return step->options.algorithm == EXCHANGE_NATIVE || step_is_local(step);
}

static void measure_pieces(struct step *step, int round, const float *sums) {
    const struct activity_now before =
        activity_enter(step->transport->activity, ACTIVITY_UPDATE, -1);
    for (size_t i = 0; i < exchange_pieces(step->gradients); i++) {
        size_t from, to;
        exchange_piece(&from, &to, step->gradients, i);
        if (from < to) {
            optimizer_measure(step->optimizer, round, sums, from, to, &step->update);
        }
    }
    activity_leave(step->transport->activity, before);
}

status step_measure_norms(struct step *step) {
    struct optimizer *optimizer = step->optimizer;
    int rounds = optimizer_rounds(optimizer);
    float *sums;
    if (rounds == 0) {
        return STATUS_OK;
    }
    TRY(exchange_finish_sums(step->gradients, &sums));
    for (int round = 0; round < rounds; round++) {
        size_t count;
        double *measured = optimizer_sums(optimizer, &count);
        measure_pieces(step, round, sums);
        if (!measures_all(step)) {
            TRY(agreement_sum_pieces(step->transport, measured, step->other_norms, count));
        }
        optimizer_conclude(optimizer, round, &step->update);
    }
    return STATUS_OK;
}

int64_t step_norms_bytes(const struct step *step) {
    size_t count;
    int rounds = optimizer_rounds(step->optimizer);
    if (rounds == 0 || measures_all(step)) {
        return 0;
    }
    optimizer_sums(step->optimizer, &count);
    return rounds * agreement_sum_bytes(step->transport->rank, step->transport->ranks, count);
}
