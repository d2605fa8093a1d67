#include "worker/optimizer.h"

#include "base/memory.h"
#include "worker/net_internal.h"

#include <stdlib.h>

#define OPTIMIZER_VECTORS 4

struct optimizer {
    const struct optimizer_operations *operations;
    const void *options;
    struct net *net;
    int threads;
    struct arena state[OPTIMIZER_VECTORS];
};

status optimizer_create(
    struct optimizer **optimizer, struct net *net, const struct choice *choice, int threads) {
    *optimizer = NULL;
    struct optimizer *made;
    TRY(MEMORY_ALLOCATE(&made, 1));
    made->operations = (const struct optimizer_operations *)choice->kind;
    made->options = choice->values;
    made->net = net;
    made->threads = threads;
    for (int v = 0; v < made->operations->vectors; v++) {
        status result = arena_init(&made->state[v], net_vector_size(net) * sizeof(float));
        if (result != STATUS_OK) {
            optimizer_destroy(made);
            return status_trace(result, __FILE__, __LINE__, __func__);
        }
    }
    *optimizer = made;
    return STATUS_OK;
}

void optimizer_destroy(struct optimizer *optimizer) {
    if (optimizer == NULL) {
        return;
    }
    for (int v = 0; v < OPTIMIZER_VECTORS; v++) {
        arena_release(&optimizer->state[v]);
    }
    free(optimizer);
}

/* The first parameter that ends after `from`. */
static int find_parameter(const struct net *net, size_t from) {
    int low = 0, high = net_parameter_count(net);
    while (low < high) {
        int middle = (low + high) / 2;
        const struct parameter *parameter = net_parameter(net, middle);
        if (parameter->offset + parameter->packed <= from) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static void update_range(struct optimizer *optimizer, const float *gradient, size_t from, size_t to,
    const struct optimizer_step *step) {
    const struct kernels *kernels = optimizer->net->kernels;
    float *weights = net_weights(optimizer->net);
    int count = net_parameter_count(optimizer->net);
    for (int p = find_parameter(optimizer->net, from); p < count; p++) {
        const struct parameter *parameter = net_parameter(optimizer->net, p);
        size_t first = parameter->offset > from ? parameter->offset : from;
        size_t end = parameter->offset + parameter->packed;
        end = end < to ? end : to;
        if (first >= end) {
            break;
        }
        if (parameter->kind == PARAMETER_STATISTIC) {
            kernels->elementwise.average(weights + first, gradient + first,
                (float)(1.0 / (double)step->pictures), (float)parameter->momentum, end - first);
            continue;
        }
        float *state[OPTIMIZER_VECTORS];
        for (int v = 0; v < optimizer->operations->vectors; v++) {
            state[v] = (float *)optimizer->state[v].base + first;
        }
        optimizer->operations->update(weights + first, state, gradient + first, end - first,
            parameter->kind, optimizer->options, step, kernels);
    }
}

void optimizer_update(struct optimizer *optimizer, const float *gradient, size_t from, size_t to,
    const struct optimizer_step *step) {
    int threads = optimizer->threads;
#pragma omp parallel for num_threads(threads) schedule(static, 1)
    for (int thread = 0; thread < threads; thread++) {
        cpu_flush_denormals();
        /* Cut at multiples of 16 floats: a cache line is one thread's. */
        size_t lines = (to - from + 15) / 16;
        size_t first = from + lines * (size_t)thread / (size_t)threads * 16;
        size_t end = from + lines * ((size_t)thread + 1) / (size_t)threads * 16;
        update_range(optimizer, gradient, first, end < to ? end : to, step);
    }
}

int optimizer_vector_count(const struct optimizer *optimizer) {
    return optimizer->operations->vectors;
}

const char *optimizer_vector_name(const struct optimizer *optimizer, int vector) {
    return optimizer->operations->vector_names[vector];
}

float *optimizer_vector(struct optimizer *optimizer, int vector) {
    return (float *)optimizer->state[vector].base;
}
