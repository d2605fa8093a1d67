/* Layers that take every element by itself: relu, tanh, sigmoid, dropout, flatten. */
#include "reference/reference.h"

#include "base/random.h"

#include <math.h>
#include <string.h>

#define EACH(run, i)                                                                               \
    for (size_t i = 0; i < reference_count((run), (run)->layer->input[0]->shape); i++)

static void relu_forward(const struct reference_run *run) {
    EACH(run, i) run->output[0][i] = run->input[0][i] > 0 ? run->input[0][i] : 0;
}

static void relu_backward(const struct reference_run *run) {
    EACH(run, i)
    run->input_gradient[0][i] = run->input[0][i] > 0 ? run->output_gradient[0][i] : 0;
}

const struct reference reference_relu = {"relu", relu_forward, relu_backward};

static void tanh_forward(const struct reference_run *run) {
    EACH(run, i) run->output[0][i] = tanh(run->input[0][i]);
}

static void tanh_backward(const struct reference_run *run) {
    EACH(run, i) {
        double y = tanh(run->input[0][i]);
        run->input_gradient[0][i] = run->output_gradient[0][i] * (1 - y * y);
    }
}

const struct reference reference_tanh = {"tanh", tanh_forward, tanh_backward};

static void sigmoid_forward(const struct reference_run *run) {
    EACH(run, i) run->output[0][i] = 1 / (1 + exp(-run->input[0][i]));
}

static void sigmoid_backward(const struct reference_run *run) {
    EACH(run, i) {
        double y = 1 / (1 + exp(-run->input[0][i]));
        run->input_gradient[0][i] = run->output_gradient[0][i] * y * (1 - y);
    }
}

const struct reference reference_sigmoid = {"sigmoid", sigmoid_forward, sigmoid_backward};

/* What dropout multiplies the element with: the numbering of elements is in worker/layers/dropout.c
 * and part of the same-bits promise. */
static double dropout_factor(const struct reference_run *run, size_t element) {
    struct shape shape = run->layer->input[0]->shape;
    size_t pixels = (size_t)shape.height * (size_t)shape.width;
    size_t picture = element / shape_elements(shape), inside = element % shape_elements(shape);
    size_t channel = inside / pixels, pixel = inside % pixels;
    size_t number = (channel / 16 * pixels + pixel) * 16 + channel % 16;
    float rate = (float)reference_number(run, "rate", 0.5);
    struct random_place place = {.seed = run->pass->seed,
        .purpose = RANDOM_DROPOUT,
        .unit = (uint32_t)run->layer->number,
        .time = run->pass->step,
        .item = (uint32_t)(run->pass->first_position + (int64_t)picture)};
    uint32_t words[4];
    random_block(words, &place, (uint32_t)(number / 4));
    return random_uniform(words[number % 4]) < rate ? 0 : 1 / (1 - (double)rate);
}

static void dropout_forward(const struct reference_run *run) {
    EACH(run, i)
    run->output[0][i] = run->input[0][i] * (run->pass->training ? dropout_factor(run, i) : 1);
}

static void dropout_backward(const struct reference_run *run) {
    EACH(run, i) run->input_gradient[0][i] = run->output_gradient[0][i] * dropout_factor(run, i);
}

const struct reference reference_dropout = {"dropout", dropout_forward, dropout_backward};

static void flatten_forward(const struct reference_run *run) {
    EACH(run, i) run->output[0][i] = run->input[0][i];
}

static void flatten_backward(const struct reference_run *run) {
    EACH(run, i) run->input_gradient[0][i] = run->output_gradient[0][i];
}

const struct reference reference_flatten = {"flatten", flatten_forward, flatten_backward};
