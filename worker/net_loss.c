#include "worker/net_internal.h"

#include <stddef.h>
#include <string.h>

/* The pictures of a tensor from `first` on. */
static struct tensor from_picture(const struct tensor *tensor, int first) {
    struct tensor part = *tensor;
    if (part.data != NULL) {
        part.data += first * part.picture_stride;
    }
    return part;
}

static void scale_gradient(
    const struct net *net, const struct tensor *gradient, int picture, float weight) {
    for (int b = 0; b < shape_blocks(gradient->shape.channels); b++) {
        for (int h = 0; h < gradient->shape.height; h++) {
            float *row = tensor_at(gradient, picture, b, h, 0);
            net->kernels->elementwise.scale(
                row, row, weight, (size_t)gradient->shape.width * CHANNEL_BLOCK);
        }
    }
}

/* Loss, top 1 and top 5 by picture of one output, and its gradient times `weight`. */
static void run_loss(struct net *net, const struct pass *pass, const struct value *value,
    const struct target *targets, double weight) {
    int room = net->options.pictures;
    float *loss = net->picture_metrics + NET_LOSS * room;
    float *correct = net->picture_metrics + NET_CORRECT * room;
    float *correct_5 = net->picture_metrics + NET_CORRECT_5 * room;
    bool learning = pass->training && net->options.training && value->wants_gradient;
#pragma omp parallel for num_threads(net->options.threads) schedule(static)
    for (int n = 0; n < pass->pictures; n++) {
        const struct tensor output = from_picture(&value->activation, n);
        const struct tensor gradient = from_picture(&value->gradient, n);
        net->loss->run(loss + n, correct + n, correct_5 + n, learning ? &gradient : NULL, &output,
            targets + n, 1, net->loss_options);
        if (learning && weight != 1.0) {
            scale_gradient(net, &value->gradient, n, (float)weight);
        }
    }
}

/* Adds weight * loss, and of the net's own output what was correct, to the metrics of each leaf:
 * sums within a leaf are taken in double, in order. */
static void add_leaf_metrics(struct net *net, const struct pass *pass, double weight, bool main) {
    int room = net->options.pictures;
    for (int l = 0; l < pass->leaves; l++) {
        float *metrics = net->leaf_metrics + (ptrdiff_t)l * NET_METRICS;
        double loss = 0, correct = 0, correct_5 = 0;
        for (int n = pass->leaf_start[l]; n < pass->leaf_start[l + 1]; n++) {
            loss += (double)net->picture_metrics[NET_LOSS * room + n];
            correct += (double)net->picture_metrics[NET_CORRECT * room + n];
            correct_5 += (double)net->picture_metrics[NET_CORRECT_5 * room + n];
        }
        metrics[NET_LOSS] += (float)(weight * loss);
        if (main) {
            metrics[NET_CORRECT] = (float)correct;
            metrics[NET_CORRECT_5] = (float)correct_5;
            metrics[NET_PICTURES] = (float)(pass->leaf_start[l + 1] - pass->leaf_start[l]);
        }
    }
}

void net_run_losses(struct net *net, const struct pass *pass, const struct target *targets) {
    memset(net->leaf_metrics, 0, (size_t)pass->leaves * NET_METRICS * sizeof(float));
    bool learning = pass->training && net->options.training;
    if (learning) {
        net_begin_storages(net, net->plan.loss_time, pass->pictures);
    }
    run_loss(net, pass, net->output, targets, 1.0);
    add_leaf_metrics(net, pass, 1.0, true);
    for (int i = 0; learning && i < net->graph.auxiliaries; i++) {
        const struct graph_auxiliary *auxiliary = &net->graph.auxiliary[i];
        run_loss(net, pass, auxiliary->value, targets, auxiliary->weight);
        add_leaf_metrics(net, pass, auxiliary->weight, false);
    }
    if (pass->gradient != NULL) {
        pass_fold_leaves(pass->gradient, net->leaf_metrics, NET_METRICS, pass);
    }
}
