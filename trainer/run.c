#include "trainer/run.h"

#include "trainer/signals.h"
#include "trainer/validation.h"

#include <inttypes.h>
#include <math.h>

/* One step, in the order of the data: record, batch, activations, loss, gradients, exchange,
 * update, log. */
static status train_step(struct run *run, struct decision *decision, uint32_t *signals) {
    const struct state *state = &run->state;
    const int64_t pictures =
        order_step_pictures(&run->training.order, state->step % state->steps_per_epoch);
    const struct batch *batch = NULL;
    activity_set_step(run->job.activity, state->step);
    *decision = coordinator_decide(run->recipe, state);
    *signals = signals_seen();

    status mine = run->pending;
    if (mine == STATUS_OK) {
        mine = feed_next(&batch, run->loader, run->job.activity); /* records become a batch */
    }
    const int64_t sent = run->job.transport->bytes_sent;
    TRY(step_meet(run->step, mine)); /* batch norm over the whole batch asks for all */
    if (mine == STATUS_OK) {
        mine = step_forward(run->step, state->step, pictures, batch->pixels, batch->targets);
    }
    TRY(step_agree(run->step, mine, *signals, decision, sizeof *decision));
    TRY(step_backward(run->step, signals, decision, sizeof *decision)); /* exchange, update */

    if (decision->joint && run->recipe->train.local_steps > 1) {
        TRY(step_average(run->step));
        run->counts.bytes_expected += step_average_bytes(run->step);
    }
    run->counts.bytes_sent += run->job.transport->bytes_sent - sent;
    run->counts.bytes_expected += step_exchange_bytes(run->step, pictures);
    if (!isfinite(step_get_metrics(run->step).loss)) {
        FAIL(STATUS_NUMERIC, "step %" PRId64 ": the sum of the loss over all ranks is not finite",
            state->step + 1);
    }
    run->state.step++;
    run_log_step(run, decision, pictures);
    return STATUS_OK;
}

/* With train.ema of the averaged weights. All ranks have the same figures; what rank 0 makes of
 * them is handed out. */
static status validate(struct run *run, bool *best) {
    const struct activity_now before = activity_enter(run->job.activity, ACTIVITY_VALIDATION, -1);
    int average = optimizer_average(run->optimizer);
    float *averaged = NULL;
    if (average >= 0) {
        TRY(step_assemble(run->step, &averaged, average));
    }
    net_borrow_weights(run->net, averaged);
    status result = validation_run(&run->figures, NULL, &run->job, run->step, run->net,
        &run->validation, run->recipe, run->log);
    net_borrow_weights(run->net, NULL);
    activity_leave(run->job.activity, before);
    TRY(result);
    if (!isfinite(run->figures.loss)) {
        run_log_validation(run, false);
        FAIL(STATUS_NUMERIC, "validation after step %" PRId64 ": the loss is not finite",
            run->state.step);
    }
    *best = coordinator_observe(&run->state, run->recipe, &run->figures);
    job_broadcast(&run->job, &run->state, sizeof run->state);
    job_broadcast(&run->job, best, sizeof *best);
    run_log_validation(run, *best);
    return STATUS_OK;
}

/* What rank 0 decided for the end of the step. A signal does not wait for a validation: the
 * resumed run owes it. */
static status end_step(struct run *run, const struct decision *decision) {
    bool best = false;
    if (run->state.step % run->state.steps_per_epoch == 0) {
        run_log_epoch(run);
        TRY(run_log_stragglers(run));
    }
    if (!decision->joint) { /* a signal waits too: only then there are weights to save */
        run->stop_signals = 0;
        return STATUS_OK;
    }
    if (decision->validate && run->stop_signals == 0) {
        TRY(validate(run, &best));
    }
    if (decision->checkpoint || best || run->stop_signals != 0 ||
        coordinator_finished(run->recipe, &run->state)) {
        TRY(run_save(run));
    }
    return STATUS_OK;
}

/* A run that was stopped at a step where a validation was due goes on with it. */
static status pay_validation(struct run *run) {
    if (!coordinator_owes_validation(run->recipe, &run->state)) {
        return STATUS_OK;
    }
    bool best;
    TRY(validate(run, &best));
    return run_save(run);
}

static status train_to_the_end(struct run *run) {
    struct decision decision;
    TRY(pay_validation(run));
    while (run->stop_signals == 0 && !coordinator_finished(run->recipe, &run->state)) {
        TRY(train_step(run, &decision, &run->stop_signals));
        TRY(end_step(run, &decision));
    }
    TRY(run_log_ranks(run));
    return job_agree(&run->job, run->pending);
}

/* What the ranks agreed to fail of still gets its timeline: a record, or a loss, that is not what
 * it must be. After any other failure a rank may be alone, and would wait for ever: it writes what
 * it saw itself. */
status run_train(struct run *run) {
    status result = train_to_the_end(run);
    const bool together = result == STATUS_OK || result == STATUS_INPUT || result == STATUS_NUMERIC;
    if (run->timeline == NULL) {
        return result;
    }
    char message[1024];
    status_message_copy(message, sizeof message);
    const status written = together ? job_agree(&run->job, timeline_write(run->timeline, run->log))
                                    : timeline_leave(run->timeline);
    return result == STATUS_OK ? written : status_adopt(result, message);
}
