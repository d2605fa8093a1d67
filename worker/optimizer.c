#include "worker/optimizer.h"

#include "base/memory.h"
#include "worker/net_internal.h"

#include <stdlib.h>
#include <string.h>

#define OPTIMIZER_VECTORS 4 /* the average among them */

struct optimizer {
    const struct optimizer_operations *operations;
    const void *options; /* its values */
    int threads;
    double clip_norm, ema;
    struct net *net;
    struct arena state[OPTIMIZER_VECTORS];
    double clip;           /* what the gradient of this step is multiplied by */
    double (*sums)[NORMS]; /* [norms_places]: what this round measured */
    double (*norm)[NORMS]; /* [parameters]: what the last round came to */
};

static status take_memory(struct optimizer *optimizer) {
    const struct net *net = optimizer->net;
    for (int v = 0; v < optimizer_vector_count(optimizer); v++) {
        TRY(arena_reserve(&optimizer->state[v], net_vector_size(net) * sizeof(float)));
    }
    TRY(MEMORY_ALLOCATE(&optimizer->norm, (size_t)net_parameter_count(net)));
    return optimizer_rounds(optimizer) > 0 ? MEMORY_ALLOCATE(&optimizer->sums, norms_places(net))
                                           : STATUS_OK;
}

status optimizer_create(
    struct optimizer **optimizer, struct net *net, const struct optimizer_options *options) {
    *optimizer = NULL;
    struct optimizer *made;
    TRY(MEMORY_ALLOCATE(&made, 1));
    *made = (struct optimizer){
        .operations = (const struct optimizer_operations *)options->choice->kind,
        .options = options->choice->values,
        .threads = options->threads,
        .clip_norm = options->clip_norm,
        .ema = options->ema,
        .net = net,
        .clip = 1,
    };
    status result = take_memory(made);
    if (result != STATUS_OK) {
        optimizer_destroy(made);
        return status_trace(result, __FILE__, __LINE__, __func__);
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
    free(optimizer->sums);
    free(optimizer->norm);
    free(optimizer);
}

/* ---- ranges ---- */

/* What is done with the pieces of a range. */
struct work {
    /* With a piece of parameter number `number` at element `first`. */
    void (*piece)(struct optimizer *optimizer, const struct optimizer_piece *piece, int number,
        size_t first, const struct optimizer_step *step);
    size_t longest; /* pieces are cut at multiples of so many elements */
    size_t unit;    /* and threads at multiples of these from where the range begins */
};

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

/* gradient[0] is element `first`. */
static void work_on_piece(struct optimizer *optimizer, const float *gradient, int number,
    size_t first, size_t end, const struct optimizer_step *step, const struct work *work) {
    float *state[OPTIMIZER_VECTORS];
    for (int v = 0; v < optimizer->operations->vectors; v++) {
        state[v] = (float *)optimizer->state[v].base + first;
    }
    const struct optimizer_piece piece = {
        .weights = net_weights(optimizer->net) + first,
        .state = state,
        .gradient = gradient,
        .count = end - first,
        .kind = net_parameter(optimizer->net, number)->kind,
        .scale = (float)(optimizer->clip / (double)step->pictures),
        .norm = optimizer->norm[number],
    };
    work->piece(optimizer, &piece, number, first, step);
}

/* gradient[0] is element `from`. */
static void work_on_range(struct optimizer *optimizer, const float *gradient, size_t from,
    size_t to, const struct optimizer_step *step, const struct work *work) {
    int count = net_parameter_count(optimizer->net);
    for (int p = find_parameter(optimizer->net, from); p < count; p++) {
        const struct parameter *parameter = net_parameter(optimizer->net, p);
        size_t first = parameter->offset > from ? parameter->offset : from;
        size_t end = parameter->offset + parameter->packed;
        end = end < to ? end : to;
        if (first >= end) {
            break;
        }
        while (first < end) {
            size_t left = work->longest - first % work->longest;
            size_t next = left < end - first ? first + left : end;
            work_on_piece(optimizer, gradient + (first - from), p, first, next, step, work);
            first = next;
        }
    }
}

static void work_by_threads(struct optimizer *optimizer, const float *gradient, size_t from,
    size_t to, const struct optimizer_step *step, const struct work *work) {
    int threads = optimizer->threads;
#pragma omp parallel for num_threads(threads) schedule(static, 1)
    for (int thread = 0; thread < threads; thread++) {
        cpu_flush_denormals();
        size_t units = (to - from + work->unit - 1) / work->unit;
        size_t first = from + units * (size_t)thread / (size_t)threads * work->unit;
        size_t end = from + units * ((size_t)thread + 1) / (size_t)threads * work->unit;
        work_on_range(optimizer, gradient + first, first, end < to ? end : to, step, work);
    }
}

/* ---- norms ---- */

/* The gradient's norm comes first, since what the optimizer measures may go by the clipped one. */
static bool clips(const struct optimizer *optimizer) {
    return optimizer->clip_norm > 0;
}

int optimizer_rounds(const struct optimizer *optimizer) {
    return (clips(optimizer) ? 1 : 0) + (optimizer->operations->measure != NULL ? 1 : 0);
}

static bool is_clipping_round(const struct optimizer *optimizer, int round) {
    return clips(optimizer) && round == 0;
}

static void measure_gradient(struct optimizer *optimizer, const struct optimizer_piece *piece,
    int number, size_t first, const struct optimizer_step *step) {
    (void)step;
    if (piece->kind != PARAMETER_STATISTIC) {
        optimizer->sums[norms_place(first, number)][0] =
            norms_square_sum(piece->gradient, piece->count);
    }
}

static void measure_piece(struct optimizer *optimizer, const struct optimizer_piece *piece,
    int number, size_t first, const struct optimizer_step *step) {
    if (piece->kind != PARAMETER_STATISTIC) {
        optimizer->operations->measure(
            optimizer->sums[norms_place(first, number)], piece, optimizer->options, step);
    }
}

void optimizer_measure(struct optimizer *optimizer, int round, const float *gradient, size_t from,
    size_t to, const struct optimizer_step *step) {
    const struct work work = {
        .piece = is_clipping_round(optimizer, round) ? measure_gradient : measure_piece,
        .longest = NORMS_BLOCK,
        .unit = NORMS_BLOCK,
    };
    work_by_threads(optimizer, gradient, from, to, step, &work);
}

double *optimizer_sums(struct optimizer *optimizer, size_t *count) {
    *count = norms_places(optimizer->net) * NORMS;
    return optimizer->sums[0];
}

void optimizer_conclude(struct optimizer *optimizer, int round, const struct optimizer_step *step) {
    const struct net *net = optimizer->net;
    norms_of_parameters(optimizer->norm, optimizer->sums, net);
    memset(optimizer->sums, 0, norms_places(net) * sizeof *optimizer->sums);
    if (is_clipping_round(optimizer, round)) {
        double norm = norms_over_all(optimizer->norm, net_parameter_count(net));
        double most = optimizer->clip_norm * (double)step->pictures;
        optimizer->clip = norm > most ? most / norm : 1;
    }
}

/* ---- the update ---- */

static void move_weights(struct optimizer *optimizer, const struct optimizer_piece *piece,
    int number, const struct optimizer_step *step) {
    const struct kernels *kernels = optimizer->net->kernels;
    if (piece->kind == PARAMETER_STATISTIC) {
        kernels->elementwise.average(piece->weights, piece->gradient,
            (float)(1.0 / (double)step->pictures),
            (float)net_parameter(optimizer->net, number)->momentum, piece->count);
        return;
    }
    optimizer->operations->update(piece, optimizer->options, step, kernels);
}

static void update_piece(struct optimizer *optimizer, const struct optimizer_piece *piece,
    int number, size_t first, const struct optimizer_step *step) {
    int kept = optimizer_average(optimizer);
    float *average = kept >= 0 ? optimizer_vector(optimizer, kept) + first : NULL;
    if (average != NULL && step->step == 0) {
        memcpy(average, piece->weights, piece->count * sizeof(float));
    }
    move_weights(optimizer, piece, number, step);
    if (average != NULL) {
        double t = (double)step->step, early = (1 + t) / (10 + t);
        double stays = early < optimizer->ema ? early : optimizer->ema;
        optimizer->net->kernels->elementwise.average(
            average, piece->weights, 1.0f, (float)(1 - stays), piece->count);
    }
}

/* A cache line is one thread's. */
static const struct work update_work = {.piece = update_piece, .longest = SIZE_MAX, .unit = 16};

void optimizer_update(struct optimizer *optimizer, const float *gradient, size_t from, size_t to,
    const struct optimizer_step *step) {
    work_by_threads(optimizer, gradient, from, to, step, &update_work);
}

void optimizer_update_piece(struct optimizer *optimizer, const float *gradient, size_t from,
    size_t to, const struct optimizer_step *step) {
    work_on_range(optimizer, gradient, from, to, step, &update_work);
}

void optimizer_update_all(
    struct optimizer *optimizer, const float *gradient, const struct optimizer_step *step) {
    size_t size = net_vector_size(optimizer->net);
    for (int round = 0; round < optimizer_rounds(optimizer); round++) {
        optimizer_measure(optimizer, round, gradient, 0, size, step);
        optimizer_conclude(optimizer, round, step);
    }
    optimizer_update(optimizer, gradient, 0, size, step);
}

void optimizer_touch(struct optimizer *optimizer, size_t from, size_t to) {
    for (int v = 0; v < optimizer_vector_count(optimizer); v++) {
        arena_touch(&optimizer->state[v], from * sizeof(float), to * sizeof(float));
    }
}

int optimizer_vector_count(const struct optimizer *optimizer) {
    return optimizer->operations->vectors + (optimizer->ema > 0 ? 1 : 0);
}

int optimizer_average(const struct optimizer *optimizer) {
    return optimizer->ema > 0 ? optimizer->operations->vectors : -1;
}

const char *optimizer_vector_name(const struct optimizer *optimizer, int vector) {
    return vector == optimizer_average(optimizer) ? "ema"
                                                  : optimizer->operations->vector_names[vector];
}

float *optimizer_vector(struct optimizer *optimizer, int vector) {
    return (float *)optimizer->state[vector].base;
}
