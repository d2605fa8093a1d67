/* Batch norm over each leaf, or over all of them, in two passes. */
#include "reference/reference.h"

#include <math.h>
#include <string.h>

enum { WEIGHT, BIAS, RUNNING_MEAN, RUNNING_VAR };

struct statistics {
    double count, mean, variance; /* of one channel over one leaf */
};

typedef void (*each)(const struct reference_run *run, size_t place, void *context);

/* Every element of one channel of one leaf. */
static void each_element(
    const struct reference_run *run, int leaf, int channel, each call, void *context) {
    struct shape shape = run->layer->input[0]->shape;
    for (int n = run->pass->leaf_start[leaf]; n < run->pass->leaf_start[leaf + 1]; n++) {
        for (int h = 0; h < shape.height; h++) {
            for (int w = 0; w < shape.width; w++) {
                call(run, reference_at(shape, n, channel, h, w), context);
            }
        }
    }
}

static void add_value(const struct reference_run *run, size_t place, void *context) {
    struct statistics *s = context;
    s->count += 1;
    s->mean += run->input[0][place];
}

static void add_square(const struct reference_run *run, size_t place, void *context) {
    struct statistics *s = context;
    s->variance += (run->input[0][place] - s->mean) * (run->input[0][place] - s->mean);
}

/* The leaf, or with sync every leaf. */
static void each_of_statistics(
    const struct reference_run *run, int leaf, int channel, each call, void *context) {
    bool sync = reference_switch(run, "sync", false);
    for (int l = 0; l < run->pass->leaves; l++) {
        if (sync || l == leaf) {
            each_element(run, l, channel, call, context);
        }
    }
}

static struct statistics measure(const struct reference_run *run, int leaf, int channel) {
    struct statistics s = {0, 0, 0};
    each_of_statistics(run, leaf, channel, add_value, &s);
    s.mean /= s.count;
    each_of_statistics(run, leaf, channel, add_square, &s);
    s.variance /= s.count;
    return s;
}

/* What one element needs. */
struct element {
    struct statistics statistics;
    double deviation, weight, bias;
    double sum, product; /* of the output's gradient, and of it times the normalised input */
};

static void normalise(const struct reference_run *run, size_t place, void *context) {
    const struct element *e = context;
    double normal = (run->input[0][place] - e->statistics.mean) / e->deviation;
    run->output[0][place] = normal * e->weight + e->bias;
}

static void add_gradient(const struct reference_run *run, size_t place, void *context) {
    struct element *e = context;
    double normal = (run->input[0][place] - e->statistics.mean) / e->deviation;
    e->sum += run->output_gradient[0][place];
    e->product += run->output_gradient[0][place] * normal;
}

static void turn(const struct reference_run *run, size_t place, void *context) {
    const struct element *e = context;
    double normal = (run->input[0][place] - e->statistics.mean) / e->deviation;
    run->input_gradient[0][place] = e->weight / e->deviation *
                                    (run->output_gradient[0][place] - e->sum / e->statistics.count -
                                        normal * e->product / e->statistics.count);
}

static struct element element_of(const struct reference_run *run, int leaf, int channel) {
    struct element e = {
        .weight = run->parameter[WEIGHT][channel], .bias = run->parameter[BIAS][channel]};
    e.statistics = measure(run, leaf, channel);
    if (!run->pass->training) {
        e.statistics.mean = run->parameter[RUNNING_MEAN][channel];
        e.statistics.variance = run->parameter[RUNNING_VAR][channel];
    }
    e.deviation = sqrt(e.statistics.variance + reference_number(run, "eps", 1e-5));
    return e;
}

static void forward(const struct reference_run *run) {
    for (int leaf = 0; leaf < run->pass->leaves; leaf++) {
        for (int c = 0; c < run->layer->input[0]->shape.channels; c++) {
            struct element e = element_of(run, leaf, c);
            each_element(run, leaf, c, normalise, &e);
        }
    }
}

static void backward(const struct reference_run *run) {
    int channels = run->layer->input[0]->shape.channels;
    for (int leaf = 0; leaf < run->pass->leaves; leaf++) {
        double pictures = run->pass->leaf_start[leaf + 1] - run->pass->leaf_start[leaf];
        for (int c = 0; c < channels; c++) {
            size_t place = (size_t)leaf * (size_t)channels + (size_t)c;
            struct element e = {.weight = 0}, own = {.weight = 0};
            if (pictures > 0) {
                own = e = element_of(run, leaf, c);
                each_element(run, leaf, c, add_gradient, &own);
                each_of_statistics(run, leaf, c, add_gradient, &e);
                each_element(run, leaf, c, turn, &e);
            }
            double count = e.statistics.count;
            double unbiased = count > 1 ? e.statistics.variance * count / (count - 1) : 0;
            run->parameter_gradient[WEIGHT][place] = own.product;
            run->parameter_gradient[BIAS][place] = own.sum;
            run->parameter_gradient[RUNNING_MEAN][place] = pictures * e.statistics.mean;
            run->parameter_gradient[RUNNING_VAR][place] = pictures * unbiased;
        }
    }
}

const struct reference reference_batchnorm = {"batchnorm", forward, backward};
