/* Layers that take every element by itself and have nothing to learn. */
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

static double slope_below(const struct reference_run *run) {
    return reference_number(run, "slope", 0.01);
}

static void leaky_relu_forward(const struct reference_run *run) {
    EACH(run, i)
    run->output[0][i] = run->input[0][i] * (run->input[0][i] > 0 ? 1 : slope_below(run));
}

static void leaky_relu_backward(const struct reference_run *run) {
    EACH(run, i)
    run->input_gradient[0][i] =
        run->output_gradient[0][i] * (run->input[0][i] > 0 ? 1 : slope_below(run));
}

const struct reference reference_leaky_relu = {
    "leaky_relu", leaky_relu_forward, leaky_relu_backward};

static void elu_forward(const struct reference_run *run) {
    double alpha = reference_number(run, "alpha", 1);
    EACH(run, i) {
        double x = run->input[0][i];
        run->output[0][i] = x > 0 ? x : alpha * expm1(x);
    }
}

static void elu_backward(const struct reference_run *run) {
    double alpha = reference_number(run, "alpha", 1);
    EACH(run, i) {
        double x = run->input[0][i];
        run->input_gradient[0][i] = run->output_gradient[0][i] * (x > 0 ? 1 : alpha * exp(x));
    }
}

const struct reference reference_elu = {"elu", elu_forward, elu_backward};

static void lecun_tanh_forward(const struct reference_run *run) {
    EACH(run, i)
    run->output[0][i] = reference_number(run, "amplitude", 1.7159) * tanh(run->input[0][i] * 2 / 3);
}

static void lecun_tanh_backward(const struct reference_run *run) {
    EACH(run, i) {
        double t = tanh(run->input[0][i] * 2 / 3);
        run->input_gradient[0][i] = run->output_gradient[0][i] *
                                    reference_number(run, "amplitude", 1.7159) * 2 / 3 *
                                    (1 - t * t);
    }
}

const struct reference reference_lecun_tanh = {
    "lecun_tanh", lecun_tanh_forward, lecun_tanh_backward};

static void softplus_forward(const struct reference_run *run) {
    double beta = reference_number(run, "beta", 1);
    EACH(run, i) run->output[0][i] = log1p(exp(beta * run->input[0][i])) / beta;
}

static void softplus_backward(const struct reference_run *run) {
    double beta = reference_number(run, "beta", 1);
    EACH(run, i)
    run->input_gradient[0][i] = run->output_gradient[0][i] / (1 + exp(-beta * run->input[0][i]));
}

const struct reference reference_softplus = {"softplus", softplus_forward, softplus_backward};

/* The uniform number of an element: the numbering is in worker/layers/random_map.h and part of the
 * same-bits promise. */
static float uniform_of(const struct reference_run *run, size_t element) {
    struct shape shape = run->layer->input[0]->shape;
    size_t pixels = (size_t)shape.height * (size_t)shape.width;
    size_t picture = element / shape_elements(shape), inside = element % shape_elements(shape);
    size_t channel = inside / pixels, pixel = inside % pixels;
    size_t number = (channel / 16 * pixels + pixel) * 16 + channel % 16;
    struct random_place place = {.seed = run->pass->seed,
        .purpose = RANDOM_DROPOUT,
        .unit = (uint32_t)run->layer->number,
        .time = run->pass->step,
        .item = (uint32_t)(run->pass->first_position + (int64_t)picture)};
    uint32_t words[4];
    random_block(words, &place, (uint32_t)(number / 4));
    return random_uniform(words[number % 4]);
}

static double dropout_factor(const struct reference_run *run, size_t element) {
    float rate = (float)reference_number(run, "rate", 0.5);
    return uniform_of(run, element) < rate ? 0 : 1 / (1 - (double)rate);
}

static void dropout_forward(const struct reference_run *run) {
    EACH(run, i)
    run->output[0][i] = run->input[0][i] * (run->pass->training ? dropout_factor(run, i) : 1);
}

static void dropout_backward(const struct reference_run *run) {
    EACH(run, i) run->input_gradient[0][i] = run->output_gradient[0][i] * dropout_factor(run, i);
}

const struct reference reference_dropout = {"dropout", dropout_forward, dropout_backward};

static double rrelu_factor(const struct reference_run *run, size_t element) {
    double lower = reference_number(run, "lower", 1.0 / 8);
    double upper = reference_number(run, "upper", 1.0 / 3);
    double place = run->pass->training ? (double)uniform_of(run, element) : 0.5;
    return run->input[0][element] > 0 ? 1 : lower + (upper - lower) * place;
}

static void rrelu_forward(const struct reference_run *run) {
    EACH(run, i) run->output[0][i] = run->input[0][i] * rrelu_factor(run, i);
}

static void rrelu_backward(const struct reference_run *run) {
    EACH(run, i) run->input_gradient[0][i] = run->output_gradient[0][i] * rrelu_factor(run, i);
}

const struct reference reference_rrelu = {"rrelu", rrelu_forward, rrelu_backward};

static void flatten_forward(const struct reference_run *run) {
    EACH(run, i) run->output[0][i] = run->input[0][i];
}

static void flatten_backward(const struct reference_run *run) {
    EACH(run, i) run->input_gradient[0][i] = run->output_gradient[0][i];
}

const struct reference reference_flatten = {"flatten", flatten_forward, flatten_backward};
