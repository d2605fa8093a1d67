/* conv and linear, tap by tap. */
#include "reference/reference.h"

#include <stdlib.h>
#include <string.h>

/* One product of the sum: element indices of input, output and weight. */
struct product {
    size_t in, out, weight;
};

/* The number of the kernel from input i to output o in the list of the table, or -1. */
static int connection(const struct node *table, int o, int i) {
    int number = 0, row = 0;
    for (const struct node *r = table->child; r != NULL; r = r->next, row++) {
        for (const struct node *entry = r->child; entry != NULL; entry = entry->next, number++) {
            if (row == o && strtol(entry->text, NULL, 10) == i) {
                return number;
            }
        }
    }
    return -1;
}

typedef void (*each)(const struct reference_run *run, const struct product *product, int leaf);

static void each_tap(const struct reference_run *run, each call) {
    struct shape in = run->layer->input[0]->shape, out = run->layer->output[0]->shape;
    int kernel[2], stride[2], pad[2], dilation[2], groups = (int)reference_number(run, "groups", 1);
    for (int axis = 0; axis < 2; axis++) {
        kernel[axis] = reference_pair(run, "kernel", axis, 3);
        stride[axis] = reference_pair(run, "stride", axis, 1);
        pad[axis] = reference_pair(run, "pad", axis, 0);
        dilation[axis] = reference_pair(run, "dilation", axis, 1);
    }
    int ins = in.channels / groups, outs = out.channels / groups;
    const struct node *table = node_get(run->layer->node, "table");
    for (int n = 0; n < run->pass->pictures; n++) {
        for (int o = 0; o < out.channels; o++) {
            for (int h = 0; h < out.height; h++) {
                for (int w = 0; w < out.width; w++) {
                    for (int i = 0; i < ins; i++) {
                        int kernel_number = table != NULL ? connection(table, o, i) : o * ins + i;
                        for (int k = 0; kernel_number >= 0 && k < kernel[0] * kernel[1]; k++) {
                            int kh = k / kernel[1], kw = k % kernel[1];
                            int y = h * stride[0] + kh * dilation[0] - pad[0];
                            int x = w * stride[1] + kw * dilation[1] - pad[1];
                            if (y < 0 || y >= in.height || x < 0 || x >= in.width) {
                                continue;
                            }
                            struct product product = {reference_at(in, n, o / outs * ins + i, y, x),
                                reference_at(out, n, o, h, w),
                                (size_t)kernel_number * (size_t)(kernel[0] * kernel[1]) +
                                    (size_t)k};
                            call(run, &product, reference_leaf(run, n));
                        }
                    }
                }
            }
        }
    }
}

static void forward_product(const struct reference_run *run, const struct product *p, int leaf) {
    (void)leaf;
    run->output[0][p->out] += run->input[0][p->in] * run->parameter[0][p->weight];
}

static void backward_product(const struct reference_run *run, const struct product *p, int leaf) {
    size_t weights = (size_t)run->layer->parameter[0]->elements;
    double gradient = run->output_gradient[0][p->out];
    run->parameter_gradient[0][(size_t)leaf * weights + p->weight] +=
        gradient * run->input[0][p->in];
    run->input_gradient[0][p->in] += gradient * run->parameter[0][p->weight];
}

/* Output starts from the bias. */
static void start_output(const struct reference_run *run) {
    struct shape out = run->layer->output[0]->shape;
    size_t pixels = (size_t)out.height * (size_t)out.width;
    for (size_t i = 0; i < reference_count(run, out); i++) {
        size_t channel = i / pixels % (size_t)out.channels;
        run->output[0][i] = run->layer->parameters > 1 ? run->parameter[1][channel] : 0;
    }
}

static void start_gradients(const struct reference_run *run) {
    const struct layer *layer = run->layer;
    memset(
        run->input_gradient[0], 0, reference_count(run, layer->input[0]->shape) * sizeof(double));
    for (int p = 0; p < layer->parameters; p++) {
        memset(run->parameter_gradient[p], 0,
            (size_t)run->pass->leaves * (size_t)layer->parameter[p]->elements * sizeof(double));
    }
    struct shape out = layer->output[0]->shape;
    size_t pixels = (size_t)out.height * (size_t)out.width, channels = (size_t)out.channels;
    for (size_t i = 0; layer->parameters > 1 && i < reference_count(run, out); i++) {
        int leaf = reference_leaf(run, (int)(i / (pixels * channels)));
        run->parameter_gradient[1][(size_t)leaf * channels + i / pixels % channels] +=
            run->output_gradient[0][i];
    }
}

static void conv_forward(const struct reference_run *run) {
    start_output(run);
    each_tap(run, forward_product);
}

static void conv_backward(const struct reference_run *run) {
    start_gradients(run);
    each_tap(run, backward_product);
}

const struct reference reference_conv = {"conv", conv_forward, conv_backward};

static void each_pair(const struct reference_run *run, each call) {
    size_t ins = shape_elements(run->layer->input[0]->shape);
    size_t outs = (size_t)run->layer->output[0]->shape.channels;
    for (int n = 0; n < run->pass->pictures; n++) {
        for (size_t o = 0; o < outs; o++) {
            for (size_t i = 0; i < ins; i++) {
                struct product product = {(size_t)n * ins + i, (size_t)n * outs + o, o * ins + i};
                call(run, &product, reference_leaf(run, n));
            }
        }
    }
}

static void linear_forward(const struct reference_run *run) {
    start_output(run);
    each_pair(run, forward_product);
}

static void linear_backward(const struct reference_run *run) {
    start_gradients(run);
    each_pair(run, backward_product);
}

const struct reference reference_linear = {"linear", linear_forward, linear_backward};
