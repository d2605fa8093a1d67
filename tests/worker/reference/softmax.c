/* Softmax over the channels of every pixel. */
#include "reference/reference.h"

#include <math.h>

static double probability(const struct reference_run *run, int n, int c, int h, int w) {
    struct shape shape = run->layer->input[0]->shape;
    double sum = 0;
    for (int k = 0; k < shape.channels; k++) {
        sum += exp(run->input[0][reference_at(shape, n, k, h, w)]);
    }
    return exp(run->input[0][reference_at(shape, n, c, h, w)]) / sum;
}

#define EACH_PIXEL(run, n, h, w)                                                                   \
    for (int n = 0; n < (run)->pass->pictures; n++)                                                \
        for (int h = 0; h < (run)->layer->input[0]->shape.height; h++)                             \
            for (int w = 0; w < (run)->layer->input[0]->shape.width; w++)

static void forward(const struct reference_run *run) {
    struct shape shape = run->layer->input[0]->shape;
    EACH_PIXEL(run, n, h, w) {
        for (int c = 0; c < shape.channels; c++) {
            run->output[0][reference_at(shape, n, c, h, w)] = probability(run, n, c, h, w);
        }
    }
}

/* dx_c = sum over k of dy_k * p_k * ((k == c) - p_c) */
static void backward(const struct reference_run *run) {
    struct shape shape = run->layer->input[0]->shape;
    EACH_PIXEL(run, n, h, w) {
        for (int c = 0; c < shape.channels; c++) {
            double sum = 0, own = probability(run, n, c, h, w);
            for (int k = 0; k < shape.channels; k++) {
                sum += run->output_gradient[0][reference_at(shape, n, k, h, w)] *
                       probability(run, n, k, h, w) * ((k == c ? 1 : 0) - own);
            }
            run->input_gradient[0][reference_at(shape, n, c, h, w)] = sum;
        }
    }
}

const struct reference reference_softmax = {"softmax", forward, backward};
