#include "support/net_trace.h"

#include "reference/reference.h"
#include "support/support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void fail(const char *layer, const char *what, double error) {
    char text[256];
    snprintf(text, sizeof text, "layer %s: %s is off by %g", layer, what, error);
    printf("    %s\n", text);
    CU_FAIL("a layer differs from its reference");
}

static size_t count_of(const struct net_case *c, struct shape shape) {
    return (size_t)c->pass.pictures * shape_elements(shape);
}

/* Everything outside the channels and pixels must be zero. */
static void check_padding(const struct tensor *t, int pictures, const char *layer) {
    for (int n = 0; n < pictures; n++) {
        for (int b = 0; b < shape_blocks(t->shape.channels); b++) {
            for (int h = -t->border_height; h < t->shape.height + t->border_height; h++) {
                for (int w = -t->border_width; w < t->shape.width + t->border_width; w++) {
                    bool inside = h >= 0 && h < t->shape.height && w >= 0 && w < t->shape.width;
                    const float *pixel = tensor_at(t, n, b, h, w);
                    for (int l = 0; l < CHANNEL_BLOCK; l++) {
                        bool channel = b * CHANNEL_BLOCK + l < t->shape.channels;
                        if (!(inside && channel) && pixel[l] != 0.0f) {
                            fail(layer, "padding", (double)pixel[l]);
                            return;
                        }
                    }
                }
            }
        }
    }
}

static double *read_tensor(
    const struct net_case *c, const struct tensor *tensor, const char *layer) {
    size_t count = count_of(c, tensor->shape);
    float *planar = malloc((count + 1) * sizeof(float));
    double *values = malloc((count + 1) * sizeof(double));
    check_padding(tensor, c->pass.pictures, layer);
    tensor_store_planar(planar, tensor, c->pass.pictures);
    for (size_t i = 0; i < count; i++) {
        values[i] = (double)planar[i];
    }
    free(planar);
    return values;
}

static int number_of(const struct graph *graph, const struct value *value) {
    int v = 0;
    while (graph->value[v] != value) {
        v++;
    }
    return v;
}

struct recording {
    struct net_trace *trace;
    struct net_case *c;
    int layer; /* whose backward runs next */
};

static void record_gradient(struct recording *r, const struct value *value, const char *layer) {
    if (value->gradient.data != NULL) {
        int v = number_of(&r->c->net->graph, value);
        r->trace->gradient[v] = read_tensor(r->c, &value->gradient, layer);
    }
}

static void record_backward(void *context) {
    struct recording *r = context;
    const struct layer *layer = r->c->net->graph.layer[r->layer--];
    for (int i = 0; i < layer->inputs; i++) {
        record_gradient(r, layer->input[i], layer->name);
    }
}

void net_trace_run(struct net_trace *trace, struct net_case *c) {
    struct graph *graph = &c->net->graph;
    trace->activation = calloc((size_t)graph->values, sizeof *trace->activation);
    trace->gradient = calloc((size_t)graph->values, sizeof *trace->gradient);
    net_load_input(c->net, &c->pass, c->pixels);
    trace->activation[0] = read_tensor(c, &graph->value[0]->activation, "input");
    for (int i = 0; i < graph->layers; i++) {
        const struct layer *layer = graph->layer[i];
        if (!net_forward_layer(c->net, &c->pass, i)) {
            continue;
        }
        for (int o = 0; o < layer->outputs; o++) {
            trace->activation[number_of(graph, layer->output[o])] =
                read_tensor(c, &layer->output[o]->activation, layer->name);
        }
    }
    if (!c->pass.training) {
        return;
    }
    net_run_losses(c->net, &c->pass, c->targets);
    struct recording recording = {trace, c, graph->layers - 1};
    record_gradient(&recording, c->net->output, "loss");
    for (int i = 0; i < graph->auxiliaries; i++) {
        record_gradient(&recording, graph->auxiliary[i].value, "auxiliary loss");
    }
    struct net_hooks hooks = {.between = record_backward, .context = &recording};
    net_backward(c->net, &c->pass, &hooks);
}

void net_trace_release(struct net_trace *trace, const struct net_case *c) {
    for (int v = 0; v < c->net->graph.values; v++) {
        free(trace->activation[v]);
        free(trace->gradient[v]);
    }
    free(trace->activation);
    free(trace->gradient);
}

static void compare(const char *layer, const char *what, const double *is, const double *should,
    size_t count, double tolerance) {
    double largest = 1e-2,
           error = 0; /* sums that cancel to nothing are not measured by themselves */
    for (size_t i = 0; i < count; i++) {
        largest = fabs(should[i]) > largest ? fabs(should[i]) : largest;
        double difference = fabs(is[i] - should[i]);
        error = difference > error || isnan(difference) ? difference : error;
    }
    if (!(error <= tolerance * largest)) {
        fail(layer, what, error / largest);
    }
}

/* Memory for everything a reference reads and writes, zeroed. */
static struct reference_run make_run(const struct net_case *c, const struct layer *layer) {
    struct reference_run run = {.layer = layer, .pass = &c->pass};
    for (int i = 0; i < layer->inputs; i++) {
        size_t count = count_of(c, layer->input[i]->shape) + 1;
        run.input[i] = calloc(count, sizeof(double));
        run.input_gradient[i] = calloc(count, sizeof(double));
    }
    for (int o = 0; o < layer->outputs; o++) {
        size_t count = count_of(c, layer->output[o]->shape) + 1;
        run.output[o] = calloc(count, sizeof(double));
        run.output_gradient[o] = calloc(count, sizeof(double));
    }
    for (int p = 0; p < layer->parameters; p++) {
        size_t elements = (size_t)layer->parameter[p]->elements;
        float *standard = malloc(elements * sizeof(float));
        parameter_unpack(standard, net_weights(c->net), layer->parameter[p]);
        run.parameter[p] = calloc(elements, sizeof(double));
        for (size_t i = 0; i < elements; i++) {
            run.parameter[p][i] = (double)standard[i];
        }
        run.parameter_gradient[p] = calloc(elements * (size_t)c->pass.leaves, sizeof(double));
        free(standard);
    }
    return run;
}

static void release_run(struct reference_run *run) {
    for (int i = 0; i < LAYER_ENDS; i++) {
        free(run->input[i]);
        free(run->input_gradient[i]);
        free(run->output[i]);
        free(run->output_gradient[i]);
    }
    for (int p = 0; p < LAYER_PARAMETERS; p++) {
        free(run->parameter[p]);
        free(run->parameter_gradient[p]);
    }
}

/* The gradient of a parameter over a subtree, and that padding of it is zero. */
static void compare_parameter(
    const struct net_case *c, const struct reference_run *run, int p, int s, double tolerance) {
    const struct parameter *parameter = run->layer->parameter[p];
    size_t elements = (size_t)parameter->elements;
    float *standard = malloc(elements * sizeof(float));
    double *is = calloc(elements, sizeof(double)), *should = calloc(elements, sizeof(double));
    parameter_unpack(standard, c->gradient[s], parameter);
    for (size_t i = 0; i < elements; i++) {
        is[i] = (double)standard[i];
        for (int l = 0; l < c->subtree[s].leaves; l++) {
            size_t leaf = (size_t)(c->subtree[s].first + l);
            should[i] += run->parameter_gradient[p][leaf * elements + i];
        }
    }
    compare(run->layer->name, parameter->name, is, should, elements, tolerance);
    float *packed = calloc(net_vector_size(c->net), sizeof(float));
    parameter_pack(packed, standard, parameter);
    const float *own = c->gradient[s] + parameter->offset;
    for (size_t i = 0; i < parameter->packed; i++) {
        if (own[i] != packed[parameter->offset + i]) {
            fail(run->layer->name, "padding of a gradient", (double)own[i]);
            break;
        }
    }
    free(packed);
    free(standard);
    free(is);
    free(should);
}

void net_trace_compare(
    const struct net_trace *trace, const struct net_case *c, int index, double tolerance) {
    const struct graph *graph = &c->net->graph;
    const struct layer *layer = graph->layer[index];
    const struct reference *reference = reference_find(layer->operations->kind.name);
    CU_ASSERT_PTR_NOT_NULL_FATAL(reference);
    if (trace->activation[number_of(graph, layer->output[0])] == NULL) {
        return; /* an auxiliary head in evaluation */
    }
    struct reference_run run = make_run(c, layer);
    for (int i = 0; i < layer->inputs; i++) {
        memcpy(run.input[i], trace->activation[number_of(graph, layer->input[i])],
            count_of(c, layer->input[i]->shape) * sizeof(double));
    }
    reference->forward(&run);
    bool backward = c->pass.training;
    for (int o = 0; o < layer->outputs; o++) {
        int v = number_of(graph, layer->output[o]);
        size_t count = count_of(c, layer->output[o]->shape);
        compare(layer->name, "output", trace->activation[v], run.output[o], count, tolerance);
        if (trace->gradient[v] == NULL) {
            backward = false;
        } else {
            memcpy(run.output_gradient[o], trace->gradient[v], count * sizeof(double));
        }
    }
    if (backward) {
        reference->backward(&run);
        for (int i = 0; i < layer->inputs; i++) {
            int v = number_of(graph, layer->input[i]);
            if (trace->gradient[v] != NULL) {
                compare(layer->name, "gradient of its input", trace->gradient[v],
                    run.input_gradient[i], count_of(c, layer->input[i]->shape), tolerance);
            }
        }
        for (int p = 0; p < layer->parameters; p++) {
            for (int s = 0; s < c->pass.subtrees; s++) {
                compare_parameter(c, &run, p, s, tolerance);
            }
        }
    }
    release_run(&run);
}

/* The output times the output's gradient: what is differentiated. */
static double project(const struct net_case *c, const struct reference_run *run) {
    double sum = 0;
    for (int o = 0; o < run->layer->outputs; o++) {
        for (size_t i = 0; i < count_of(c, run->layer->output[o]->shape); i++) {
            sum += run->output[o][i] * run->output_gradient[o][i];
        }
    }
    return sum;
}

/* Moves values[count] both ways along a random direction and compares with `gradient`. */
static void compare_difference(const struct net_case *c, const struct reference_run *run,
    const struct reference *reference, double *values, const double *gradient, size_t count) {
    const double step = 1e-6;
    double *direction = malloc((count + 1) * sizeof(double)), along = 0, way[2];
    for (size_t i = 0; i < count; i++) {
        direction[i] = (double)net_case_normal();
        along += direction[i] * gradient[i];
    }
    for (int side = 0; side < 2; side++) {
        for (size_t i = 0; i < count; i++) {
            values[i] += (side == 0 ? step : -2 * step) * direction[i];
        }
        reference->forward(run);
        way[side] = project(c, run);
    }
    for (size_t i = 0; i < count; i++) {
        values[i] += step * direction[i];
    }
    double difference = (way[0] - way[1]) / (2 * step);
    double error = fabs(difference - along) / (1 + fabs(along));
    if (!(error < 1e-5)) {
        fail(run->layer->name, "the reference's gradient", error);
    }
    free(direction);
}

void net_trace_differences(const struct net_case *c, int index) {
    const struct layer *layer = c->net->graph.layer[index];
    const struct reference *reference = reference_find(layer->operations->kind.name);
    CU_ASSERT_PTR_NOT_NULL_FATAL(reference);
    struct reference_run run = make_run(c, layer);
    for (int i = 0; i < layer->inputs; i++) {
        for (size_t k = 0; k < count_of(c, layer->input[i]->shape); k++) {
            run.input[i][k] = (double)net_case_normal();
        }
    }
    for (int o = 0; o < layer->outputs; o++) {
        for (size_t k = 0; k < count_of(c, layer->output[o]->shape); k++) {
            run.output_gradient[o][k] = (double)net_case_normal();
        }
    }
    reference->forward(&run);
    reference->backward(&run);
    for (int i = 0; i < layer->inputs; i++) {
        compare_difference(c, &run, reference, run.input[i], run.input_gradient[i],
            count_of(c, layer->input[i]->shape));
    }
    for (int p = 0; p < layer->parameters; p++) {
        size_t elements = (size_t)layer->parameter[p]->elements;
        if (layer->parameter[p]->kind == PARAMETER_STATISTIC) {
            continue;
        }
        for (int l = 1; l < c->pass.leaves; l++) { /* all leaves together */
            for (size_t i = 0; i < elements; i++) {
                run.parameter_gradient[p][i] += run.parameter_gradient[p][(size_t)l * elements + i];
            }
        }
        compare_difference(
            c, &run, reference, run.parameter[p], run.parameter_gradient[p], elements);
    }
    release_run(&run);
}
