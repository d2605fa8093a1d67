/* scale and prelu: what has a number for each channel. */
#include "reference/reference.h"

#include <string.h>

static size_t channel_of(const struct reference_run *run, size_t element) {
    struct shape shape = run->layer->input[0]->shape;
    return element / ((size_t)shape.height * (size_t)shape.width) % (size_t)shape.channels;
}

/* Where the gradient of a channel's number stands for the leaf that the element is in. */
static double *gradient_of(
    const struct reference_run *run, int parameter, size_t element, size_t number) {
    int picture = (int)(element / shape_elements(run->layer->input[0]->shape));
    size_t elements = (size_t)run->layer->parameter[parameter]->elements;
    return &run->parameter_gradient[parameter]
                                   [(size_t)reference_leaf(run, picture) * elements + number];
}

static void clear_gradients(const struct reference_run *run) {
    for (int p = 0; p < run->layer->parameters; p++) {
        memset(run->parameter_gradient[p], 0,
            (size_t)run->pass->leaves * (size_t)run->layer->parameter[p]->elements *
                sizeof(double));
    }
}

static void scale_forward(const struct reference_run *run) {
    for (size_t i = 0; i < reference_count(run, run->layer->input[0]->shape); i++) {
        size_t c = channel_of(run, i);
        double bias = run->layer->parameters > 1 ? run->parameter[1][c] : 0;
        run->output[0][i] = run->input[0][i] * run->parameter[0][c] + bias;
    }
}

static void scale_backward(const struct reference_run *run) {
    clear_gradients(run);
    for (size_t i = 0; i < reference_count(run, run->layer->input[0]->shape); i++) {
        size_t c = channel_of(run, i);
        double dy = run->output_gradient[0][i];
        run->input_gradient[0][i] = dy * run->parameter[0][c];
        *gradient_of(run, 0, i, c) += dy * run->input[0][i];
        if (run->layer->parameters > 1) {
            *gradient_of(run, 1, i, c) += dy;
        }
    }
}

const struct reference reference_scale = {"scale", scale_forward, scale_backward};

static size_t slope_number(const struct reference_run *run, size_t element) {
    return reference_switch(run, "shared", false) ? 0 : channel_of(run, element);
}

static void prelu_forward(const struct reference_run *run) {
    for (size_t i = 0; i < reference_count(run, run->layer->input[0]->shape); i++) {
        double x = run->input[0][i];
        run->output[0][i] = x > 0 ? x : x * run->parameter[0][slope_number(run, i)];
    }
}

static void prelu_backward(const struct reference_run *run) {
    clear_gradients(run);
    for (size_t i = 0; i < reference_count(run, run->layer->input[0]->shape); i++) {
        size_t number = slope_number(run, i);
        double x = run->input[0][i], dy = run->output_gradient[0][i];
        run->input_gradient[0][i] = x > 0 ? dy : dy * run->parameter[0][number];
        *gradient_of(run, 0, i, number) += x > 0 ? 0 : dy * x;
    }
}

const struct reference reference_prelu = {"prelu", prelu_forward, prelu_backward};
