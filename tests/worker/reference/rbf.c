/* Squared distances from codes, with a minus. */
#include "reference/reference.h"

#include "worker/layers/rbf_codes.h"

#include <string.h>

static double away(const struct reference_run *run, int n, int k, int i) {
    int inputs = run->layer->input[0]->shape.channels;
    const struct node *codes = node_get(run->layer->node, "codes");
    bool random = codes != NULL && strcmp(codes->text, "random") == 0;
    double code = (double)(random ? rbf_random_code(k, inputs, i) : rbf_digit_code(k, i));
    return run->input[0][n * inputs + i] - code;
}

static void forward(const struct reference_run *run) {
    int inputs = run->layer->input[0]->shape.channels;
    int classes = run->layer->output[0]->shape.channels;
    for (int p = 0; p < run->pass->pictures * classes; p++) {
        run->output[0][p] = 0;
        for (int i = 0; i < inputs; i++) {
            double d = away(run, p / classes, p % classes, i);
            run->output[0][p] -= d * d;
        }
    }
}

static void backward(const struct reference_run *run) {
    int inputs = run->layer->input[0]->shape.channels;
    int classes = run->layer->output[0]->shape.channels;
    for (int p = 0; p < run->pass->pictures * inputs; p++) {
        run->input_gradient[0][p] = 0;
        for (int k = 0; k < classes; k++) {
            run->input_gradient[0][p] -= 2 * away(run, p / inputs, k, p % inputs) *
                                         run->output_gradient[0][p / inputs * classes + k];
        }
    }
}

const struct reference reference_rbf = {"rbf", forward, backward};
