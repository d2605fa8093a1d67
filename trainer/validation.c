#include "trainer/validation.h"

#include <stdlib.h>
#include <string.h>

/* Counts what the net says of the pictures it has just seen. */
struct counter {
    struct confusion *confusion;
    const struct net *net;
    const struct target *targets; /* of the rank's share of this step */
    float *output;                /* planar; room for all of the rank's share */
    int outputs;
};

static void count(void *context, int first, int pictures) {
    struct counter *counter = context;
    struct confusion *confusion = counter->confusion;
    net_output(counter->output, counter->net, pictures);
    for (int n = 0; n < pictures; n++) {
        const float *score = counter->output + (size_t)n * (size_t)counter->outputs;
        int best = 0, truth = counter->targets[first + n].class_number;
        for (int c = 1; c < counter->outputs; c++) {
            best = score[c] > score[best] ? c : best;
        }
        if (best < confusion->classes && truth < confusion->classes) {
            confusion->counts[(size_t)truth * (size_t)confusion->classes + (size_t)best]++;
        }
    }
}

static status run_steps(struct step_metrics *sums, struct counter *counter, const struct job *job,
    struct step *step, const struct feed *feed, struct loader *loader, struct log *progress) {
    const struct step_viewer viewer = {.seen = count, .context = counter};
    const int64_t steps = order_steps(&feed->order);
    for (int64_t s = 0; s < steps; s++) {
        const struct batch *batch = NULL;
        status mine = feed_next(&batch, loader, job->activity);
        const bool well = mine == STATUS_OK;
        counter->targets = well ? batch->targets : NULL;
        TRY(step_evaluate(step, sums, mine, order_step_pictures(&feed->order, s),
            well ? batch->pixels : NULL, counter->targets,
            counter->confusion != NULL ? &viewer : NULL));
        if (progress != NULL && job->rank == 0) {
            log_count(progress, "evaluating", sums->pictures, feed->order.records);
        }
    }
    return STATUS_OK;
}

status validation_run(struct figures *figures, struct confusion *confusion, const struct job *job,
    struct step *step, const struct net *net, const struct feed *feed, const struct recipe *recipe,
    struct log *progress) {
    struct loader *loader = NULL;
    struct step_metrics sums = {0};
    struct counter counter = {.confusion = confusion, .net = net};
    counter.outputs = (int)shape_elements(net_output_shape(net));
    status result = STATUS_OK;
    size_t cells = 0;
    if (confusion != NULL) {
        cells = (size_t)confusion->classes * (size_t)confusion->classes;
        memset(confusion->counts, 0, cells * sizeof *confusion->counts);
        size_t pictures = (size_t)step_pictures(step, feed->order.batch);
        result = MEMORY_ALLOCATE(&counter.output, pictures * (size_t)counter.outputs);
    }
    if (result == STATUS_OK) {
        result = feed_start(&loader, feed, recipe, job->rank, job->ranks, 0, 1);
    }
    TRY_TO(done, result, job_agree(job, result));
    TRY_TO(done, result, run_steps(&sums, &counter, job, step, feed, loader, progress));
    if (confusion != NULL) {
        job_sum(job, confusion->counts, cells);
    }
    *figures = (struct figures){.pictures = sums.pictures,
        .loss = sums.loss / (double)sums.pictures,
        .accuracy = (double)sums.correct / (double)sums.pictures,
        .accuracy_5 = (double)sums.correct_5 / (double)sums.pictures};
done:
    if (loader != NULL) {
        loader_destroy(loader);
    }
    free(counter.output);
    return result;
}
