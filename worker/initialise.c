#include "worker/initialise.h"

#include "base/math.h"
#include "base/memory.h"
#include "base/random.h"
#include "worker/net_internal.h"

#include <math.h>
#include <stdlib.h>

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

/* The four elements of one random block. */
static void draw_block(double out[4], const struct draw *draw, const uint32_t words[4]) {
    for (int i = 0; i < 4; i += 2) {
        double pair[2] = {0, 0};
        if (draw->distribution == DISTRIBUTION_NORMAL) {
            random_normal(pair, words[i], words[i + 1]);
        } else {
            pair[0] = (double)random_uniform(words[i]) * 2.0 - 1.0;
            pair[1] = (double)random_uniform(words[i + 1]) * 2.0 - 1.0;
        }
        out[i] = draw->centre + draw->spread * pair[0];
        out[i + 1] = draw->centre + draw->spread * pair[1];
    }
}

void initialise_elements(
    float *out, const struct graph_parameter *parameter, uint64_t seed, size_t from, size_t to) {
    struct draw draw = {DISTRIBUTION_UNIFORM, parameter->constant, 0};
    if (parameter->initialise != NULL && parameter->initialise->kind != NULL) {
        const struct initialiser_operations *operations =
            (const struct initialiser_operations *)parameter->initialise->kind;
        operations->draw(&draw, parameter, parameter->initialise->values);
    }
    const struct random_place place = {
        .seed = seed, .purpose = RANDOM_INITIALISE, .unit = (uint32_t)parameter->number};
    for (size_t i = from; i < to;) {
        uint32_t words[4], block = (uint32_t)(i / 4);
        double element[4] = {draw.centre, draw.centre, draw.centre, draw.centre};
        if (draw.spread != 0) {
            random_block(words, &place, block);
            draw_block(element, &draw, words);
        }
        for (; i < to && i / 4 == block; i++) {
            out[i - from] = (float)element[i % 4];
        }
    }
}

status net_initialise(struct net *net, uint64_t seed) {
    int64_t most = 0;
    for (int p = 0; p < net->graph.parameters; p++) {
        int64_t elements = net->parameter[p]->elements;
        most = elements > most ? elements : most;
    }
    float *standard;
    TRY(MEMORY_ALLOCATE(&standard, (size_t)most));
    const size_t piece = 4096; /* elements a thread takes at a time */
    for (int p = 0; p < net->graph.parameters; p++) {
        const struct graph_parameter *parameter = net->graph.parameter[p];
        size_t elements = (size_t)parameter->parameter.elements;
#pragma omp parallel for num_threads(net->options.threads) schedule(static)
        for (size_t from = 0; from < elements; from += piece) {
            size_t to = from + piece < elements ? from + piece : elements;
            initialise_elements(standard + from, parameter, seed, from, to);
        }
        parameter_pack(net->run.weights, standard, &parameter->parameter);
    }
    free(standard);
    return STATUS_OK;
}
