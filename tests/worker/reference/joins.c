/* fork, add and concat. */
#include "reference/reference.h"

static void fork_forward(const struct reference_run *run) {
    for (int o = 0; o < run->layer->outputs; o++) {
        for (size_t i = 0; i < reference_count(run, run->layer->input[0]->shape); i++) {
            run->output[o][i] = run->input[0][i];
        }
    }
}

static void fork_backward(const struct reference_run *run) {
    for (size_t i = 0; i < reference_count(run, run->layer->input[0]->shape); i++) {
        run->input_gradient[0][i] = 0;
        for (int o = 0; o < run->layer->outputs; o++) {
            run->input_gradient[0][i] += run->output_gradient[o][i];
        }
    }
}

const struct reference reference_fork = {"fork", fork_forward, fork_backward};

static void add_forward(const struct reference_run *run) {
    for (size_t i = 0; i < reference_count(run, run->layer->output[0]->shape); i++) {
        run->output[0][i] = run->input[0][i] + run->input[1][i];
    }
}

static void add_backward(const struct reference_run *run) {
    for (size_t i = 0; i < reference_count(run, run->layer->output[0]->shape); i++) {
        run->input_gradient[0][i] = run->output_gradient[0][i];
        run->input_gradient[1][i] = run->output_gradient[0][i];
    }
}

const struct reference reference_add = {"add", add_forward, add_backward};

static void concat(const struct reference_run *run, bool backward) {
    struct shape out = run->layer->output[0]->shape;
    for (int n = 0; n < run->pass->pictures; n++) {
        for (int j = 0, first = 0; j < run->layer->inputs; j++) {
            struct shape in = run->layer->input[j]->shape;
            for (int c = 0; c < in.channels; c++) {
                for (int p = 0; p < in.height * in.width; p++) {
                    size_t to = reference_at(out, n, first + c, p / in.width, p % in.width);
                    size_t from = reference_at(in, n, c, p / in.width, p % in.width);
                    if (backward) {
                        run->input_gradient[j][from] = run->output_gradient[0][to];
                    } else {
                        run->output[0][to] = run->input[j][from];
                    }
                }
            }
            first += in.channels;
        }
    }
}

static void concat_forward(const struct reference_run *run) {
    concat(run, false);
}

static void concat_backward(const struct reference_run *run) {
    concat(run, true);
}

const struct reference reference_concat = {"concat", concat_forward, concat_backward};
