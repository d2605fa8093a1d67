#include "worker/initialise.h"

#include "base/memory.h"
#include "base/random.h"
#include "worker/net_internal.h"

#include <math.h>

enum distribution { DISTRIBUTION_NORMAL, DISTRIBUTION_UNIFORM };
static const char *const distribution_names[] = {"normal", "uniform", NULL};
enum fan { FAN_IN, FAN_OUT };
static const char *const fan_names[] = {"in", "out", NULL};

/* What the elements are drawn from. */
struct draw {
    enum distribution distribution;
    double centre;
    double spread; /* standard deviation, or half the width */
};

struct initialiser_operations {
    struct kind kind;
    void (*draw)(struct draw *draw, const struct graph_parameter *parameter, const void *options);
};

static void draw_with_deviation(struct draw *draw, int distribution, double deviation) {
    draw->distribution = (enum distribution)distribution;
    draw->centre = 0;
    draw->spread = distribution == DISTRIBUTION_NORMAL ? deviation : deviation * sqrt(3.0);
}

#define DISTRIBUTION_OPTION(type_, initial_)                                                       \
    {                                                                                              \
        .name = "distribution", .type = OPTION_NAME, .offset = offsetof(type_, distribution),      \
        .initial = initial_, .flags = OPTION_CHANGES_BITS, .names = distribution_names,            \
        .help = "what the numbers are drawn from"                                                  \
    }
#define REAL_OPTION(type_, field, initial_, low_, high_, help_)                                    \
    {                                                                                              \
        .name = #field, .type = OPTION_REAL, .offset = offsetof(type_, field),                     \
        .initial = initial_, .low = low_, .high = high_, .flags = OPTION_CHANGES_BITS,             \
        .help = help_                                                                              \
    }

/* He et al., "Delving deep into rectifiers", 2015: deviation sqrt(2 / fan). */
struct he_options {
    int distribution, fan;
};
static const struct option he_options[] = {DISTRIBUTION_OPTION(struct he_options, "normal"),
    {.name = "fan",
        .type = OPTION_NAME,
        .offset = offsetof(struct he_options, fan),
        .initial = "in",
        .flags = OPTION_CHANGES_BITS,
        .help = "keeps the variance of activations (in) or of gradients (out)",
        .names = fan_names},
    OPTIONS_END};
static void draw_he(
    struct draw *draw, const struct graph_parameter *parameter, const void *options) {
    const struct he_options *o = options;
    int64_t fan = o->fan == FAN_IN ? parameter->fan_in : parameter->fan_out;
    draw_with_deviation(draw, o->distribution, sqrt(2.0 / (double)fan));
}

/* Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks",
 * 2010: deviation sqrt(2 / (fan in + fan out)). */
struct xavier_options {
    int distribution;
};
static const struct option xavier_options[] = {
    DISTRIBUTION_OPTION(struct xavier_options, "uniform"), OPTIONS_END};
static void draw_xavier(
    struct draw *draw, const struct graph_parameter *parameter, const void *options) {
    const struct xavier_options *o = options;
    draw_with_deviation(
        draw, o->distribution, sqrt(2.0 / (double)(parameter->fan_in + parameter->fan_out)));
}

struct normal_options {
    double deviation, mean;
};
static const struct option normal_options[] = {
    REAL_OPTION(struct normal_options, deviation, "0.01", 0, 1e6, "standard deviation"),
    REAL_OPTION(struct normal_options, mean, "0", -1e6, 1e6, "mean"), OPTIONS_END};
static void draw_normal(
    struct draw *draw, const struct graph_parameter *parameter, const void *options) {
    (void)parameter;
    const struct normal_options *o = options;
    *draw = (struct draw){DISTRIBUTION_NORMAL, o->mean, o->deviation};
}

struct uniform_options {
    double low, high;
};
static const struct option uniform_options[] = {
    REAL_OPTION(struct uniform_options, low, "-0.05", -1e6, 1e6, "smallest value"),
    REAL_OPTION(struct uniform_options, high, "0.05", -1e6, 1e6, "largest value"), OPTIONS_END};
static void draw_uniform(
    struct draw *draw, const struct graph_parameter *parameter, const void *options) {
    (void)parameter;
    const struct uniform_options *o = options;
    *draw = (struct draw){DISTRIBUTION_UNIFORM, (o->low + o->high) * 0.5, (o->high - o->low) * 0.5};
}

struct constant_options {
    double value;
};
static const struct option constant_options[] = {
    REAL_OPTION(struct constant_options, value, "0", -1e6, 1e6, "value of every element"),
    OPTIONS_END};
static void draw_constant(
    struct draw *draw, const struct graph_parameter *parameter, const void *options) {
    (void)parameter;
    const struct constant_options *o = options;
    *draw = (struct draw){DISTRIBUTION_UNIFORM, o->value, 0};
}

#define INITIALISER(name_, help_)                                                                  \
    static const struct initialiser_operations initialiser_##name_ = {                             \
        .kind = {.name = #name_,                                                                   \
            .help = help_,                                                                         \
            .options = name_##_options,                                                            \
            .options_size = sizeof(struct name_##_options)},                                       \
        .draw = draw_##name_}
INITIALISER(he, "He et al. 2015, for layers before a rectifier: deviation sqrt(2 / fan)");
INITIALISER(xavier, "Glorot and Bengio 2010: deviation sqrt(2 / (fan in + fan out))");
INITIALISER(normal, "normal numbers of a given deviation");
INITIALISER(uniform, "uniform numbers between two values");
INITIALISER(constant, "the same value everywhere");

const struct kind *const initialisers[] = {&initialiser_he.kind, &initialiser_xavier.kind,
    &initialiser_normal.kind, &initialiser_uniform.kind, &initialiser_constant.kind, NULL};

#define PIECE ((size_t)4096) /* elements a thread takes at a time, a multiple of SOME */
#define SOME  256            /* elements drawn at a time: whole random blocks */

/* Elements [from, to) in standard order, at most SOME, the first of which begins a random block. */
static void draw_some(float *out, const struct draw *draw, const struct random_place *place,
    const struct random_kernels *kernels, size_t from, size_t to) {
    uint32_t words[SOME];
    double element[SOME];
    size_t count = (to - from + 3) / 4 * 4;
    kernels->words(words, place, (uint32_t)(from / 4), count);
    if (draw->distribution == DISTRIBUTION_NORMAL) {
        kernels->normals(element, words, count);
    } else {
        for (size_t i = 0; i < count; i++) {
            element[i] = (double)random_uniform(words[i]) * 2.0 - 1.0;
        }
    }
    for (size_t i = from; i < to; i++) {
        out[i - from] = (float)(draw->centre + draw->spread * element[i - from]);
    }
}

/* Elements [from, to); `from` is a multiple of SOME. */
static void draw_piece(float *out, const struct draw *draw, const struct random_place *place,
    const struct random_kernels *kernels, size_t from, size_t to) {
    if (draw->spread == 0) {
        for (size_t i = from; i < to; i++) {
            out[i - from] = (float)draw->centre;
        }
        return;
    }
    for (size_t at = from; at < to; at += SOME) {
        draw_some(out + (at - from), draw, place, kernels, at, at + SOME < to ? at + SOME : to);
    }
}

/* All elements of a parameter, by all threads. */
static void draw_parameter(float *standard, const struct graph_parameter *parameter,
    const struct net *net, uint64_t seed) {
    const size_t elements = (size_t)parameter->parameter.elements;
    const struct random_place place = {
        .seed = seed, .purpose = RANDOM_INITIALISE, .unit = (uint32_t)parameter->number};
    struct draw draw = {DISTRIBUTION_UNIFORM, parameter->constant, 0};
    if (parameter->initialise != NULL && parameter->initialise->kind != NULL) {
        const struct initialiser_operations *operations =
            (const struct initialiser_operations *)parameter->initialise->kind;
        operations->draw(&draw, parameter, parameter->initialise->values);
    }
#pragma omp parallel for num_threads(net->options.threads) schedule(static)
    for (size_t from = 0; from < elements; from += PIECE) {
        size_t to = from + PIECE < elements ? from + PIECE : elements;
        draw_piece(standard + from, &draw, &place, &net->kernels->random, from, to);
    }
}

status net_initialise(struct net *net, uint64_t seed) {
    size_t most = 0;
    for (int p = 0; p < net->graph.parameters; p++) {
        size_t elements = (size_t)net->parameter[p]->elements;
        most = elements > most ? elements : most;
    }
    struct arena standard; /* 400 MB in VGG */
    TRY(arena_init(&standard, most * sizeof(float), net->options.threads));
    for (int p = 0; p < net->graph.parameters; p++) {
        const struct graph_parameter *parameter = net->graph.parameter[p];
        draw_parameter((float *)(void *)standard.base, parameter, net, seed);
        parameter_pack(net->run.weights, (float *)(void *)standard.base, &parameter->parameter);
    }
    arena_release(&standard);
    return STATUS_OK;
}
