/* Local response normalisation, window by window. */
#include "reference/reference.h"

#include <math.h>
#include <string.h>

/* Whether value (c, h, w) is in the window of value (oc, oh, ow): size / 2 before it, (size - 1) /
 * 2 after it, as PyTorch has it. */
static bool near(int place, int own, int size) {
    return place >= own - size / 2 && place <= own + (size - 1) / 2;
}

typedef void (*each)(const struct reference_run *run, size_t other, double *number);

/* Calls for all values in the window of the value at (n, c, h, w). */
static void over_window(
    const struct reference_run *run, int n, int c, int h, int w, each call, double *number) {
    struct shape shape = run->layer->input[0]->shape;
    int size = (int)reference_number(run, "size", 5);
    bool within = reference_switch(run, "within", false);
    for (int j = 0; j < shape.channels; j++) {
        for (int y = 0; y < shape.height; y++) {
            for (int x = 0; x < shape.width; x++) {
                bool inside = within ? j == c && near(y, h, size) && near(x, w, size)
                                     : near(j, c, size) && y == h && x == w;
                if (inside) {
                    call(run, reference_at(shape, n, j, y, x), number);
                }
            }
        }
    }
}

static void add_square(const struct reference_run *run, size_t other, double *sum) {
    *sum += run->input[0][other] * run->input[0][other];
}

static double values(const struct reference_run *run) {
    double size = reference_number(run, "size", 5);
    return reference_switch(run, "within", false) ? size * size : size;
}

static double base_of(const struct reference_run *run, int n, int c, int h, int w) {
    double alpha = reference_number(run, "alpha", 1e-4) / values(run);
    double sum = 0;
    over_window(run, n, c, h, w, add_square, &sum);
    return reference_number(run, "k", 1) + alpha * sum;
}

typedef void (*each_value)(const struct reference_run *run, int n, int c, int h, int w);

static void over_all(const struct reference_run *run, each_value call) {
    struct shape shape = run->layer->input[0]->shape;
    for (int n = 0; n < run->pass->pictures; n++) {
        for (int c = 0; c < shape.channels; c++) {
            for (int p = 0; p < shape.height * shape.width; p++) {
                call(run, n, c, p / shape.width, p % shape.width);
            }
        }
    }
}

static void forward_value(const struct reference_run *run, int n, int c, int h, int w) {
    size_t place = reference_at(run->layer->input[0]->shape, n, c, h, w);
    double beta = reference_number(run, "beta", 0.75);
    run->output[0][place] = run->input[0][place] * pow(base_of(run, n, c, h, w), -beta);
}

/* d y[own] / d x[other] = [own = other] s^-beta - beta x[own] s^(-beta - 1) 2 alpha x[other] / n */
static void spread(const struct reference_run *run, size_t other, double *scale) {
    run->input_gradient[0][other] += *scale * run->input[0][other];
}

static void backward_value(const struct reference_run *run, int n, int c, int h, int w) {
    struct shape shape = run->layer->input[0]->shape;
    size_t place = reference_at(shape, n, c, h, w);
    double beta = reference_number(run, "beta", 0.75);
    double s = base_of(run, n, c, h, w), dy = run->output_gradient[0][place];
    run->input_gradient[0][place] += dy * pow(s, -beta);
    double scale = -2 * beta * reference_number(run, "alpha", 1e-4) / values(run) * dy *
                   run->input[0][place] * pow(s, -beta - 1);
    over_window(run, n, c, h, w, spread, &scale);
}

static void forward(const struct reference_run *run) {
    over_all(run, forward_value);
}

static void backward(const struct reference_run *run) {
    memset(run->input_gradient[0], 0,
        reference_count(run, run->layer->input[0]->shape) * sizeof(double));
    over_all(run, backward_value);
}

const struct reference reference_lrn = {"lrn", forward, backward};
