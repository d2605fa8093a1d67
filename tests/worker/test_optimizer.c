/* Updates against the textbook in double, and the same bits however a vector is cut. */
#include "support/models.h"
#include "support/net_case.h"
#include "support/support.h"
#include "worker/optimizer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STEPS 4

static const struct net_case_options pass_options = {.pictures = 8, .leaves = 2, .threads = 1};

/* One parameter in double, as the papers (and PyTorch's documentation) have it. */
struct textbook {
    size_t count;
    double *w, *a, *b; /* weights and two vectors of state */
    const double *g;   /* the mean gradient, clipped */
    enum parameter_kind kind;
    double rate, t; /* t = 1, 2, ... */
};

struct update_case {
    const char *text;
    void (*update)(const struct textbook *book);
    double clip_norm;
};

static double norm_of(const double *values, size_t count) {
    double sum = 0;
    for (size_t i = 0; i < count; i++) {
        sum += values[i] * values[i];
    }
    return sqrt(sum);
}

static void sgd(const struct textbook *book, double momentum, double decay, bool nesterov) {
    for (size_t i = 0; i < book->count; i++) {
        double g = book->g[i] + decay * book->w[i];
        book->a[i] = momentum * book->a[i] + g;
        book->w[i] -= book->rate * (nesterov ? g + momentum * book->a[i] : book->a[i]);
    }
}

static void sgd_plain(const struct textbook *book) {
    sgd(book, 0, 0, false);
}

static void sgd_momentum(const struct textbook *book) {
    sgd(book, 0.9, 0.01, false);
}

static void sgd_nesterov(const struct textbook *book) {
    sgd(book, 0.9, 0.01, true);
}

static void sgd_without_bias(const struct textbook *book) {
    sgd(book, 0.5, book->kind == PARAMETER_BIAS ? 0 : 0.1, false);
}

static void sgd_without_norm(const struct textbook *book) {
    sgd(book, 0.5, book->kind == PARAMETER_NORM ? 0 : 0.1, true);
}

static void rmsprop(const struct textbook *book) {
    for (size_t i = 0; i < book->count; i++) {
        double g = book->g[i] + 0.01 * book->w[i];
        book->a[i] = 0.9 * book->a[i] + 0.1 * g * g;
        book->b[i] = 0.8 * book->b[i] + g / (sqrt(book->a[i]) + 1e-3);
        book->w[i] -= book->rate * book->b[i];
    }
}

static double direction(const struct textbook *book, size_t i) {
    book->a[i] = 0.9 * book->a[i] + 0.1 * book->g[i];
    book->b[i] = 0.99 * book->b[i] + 0.01 * book->g[i] * book->g[i];
    double m = book->a[i] / (1 - pow(0.9, book->t));
    double v = book->b[i] / (1 - pow(0.99, book->t));
    return m / (sqrt(v) + 1e-3);
}

static void adamw(const struct textbook *book) {
    for (size_t i = 0; i < book->count; i++) {
        book->w[i] -= book->rate * 0.1 * book->w[i];
        book->w[i] -= book->rate * direction(book, i);
    }
}

static void lars(const struct textbook *book, bool adapt) {
    double w = norm_of(book->w, book->count), g = norm_of(book->g, book->count);
    double local = adapt && w > 0 && g > 0 ? 0.02 * w / (g + 0.01 * w) : 1;
    for (size_t i = 0; i < book->count; i++) {
        book->a[i] = 0.9 * book->a[i] + book->rate * local * (book->g[i] + 0.01 * book->w[i]);
        book->w[i] -= book->a[i];
    }
}

static void lars_all(const struct textbook *book) {
    lars(book, true);
}

static void lars_weights(const struct textbook *book) {
    lars(book, book->kind == PARAMETER_WEIGHT);
}

static void lamb(const struct textbook *book, bool adapt) {
    double *u = calloc(book->count, sizeof(double));
    for (size_t i = 0; i < book->count; i++) {
        u[i] = direction(book, i) + 0.01 * book->w[i];
    }
    double w = norm_of(book->w, book->count), length = norm_of(u, book->count);
    double trust = adapt && w > 0 && length > 0 ? w / length : 1;
    for (size_t i = 0; i < book->count; i++) {
        book->w[i] -= book->rate * trust * u[i];
    }
    free(u);
}

static void lamb_all(const struct textbook *book) {
    lamb(book, true);
}

static void lamb_weights(const struct textbook *book) {
    lamb(book, book->kind == PARAMETER_WEIGHT);
}

/* Clipped at a norm that a gradient of MODEL_RESIDUAL exceeds. */
#define SHORT   0.05
#define MOMENTS "beta1: 0.9, beta2: 0.99, eps: 0.001"
static const struct update_case updates[] = {
    {"sgd: {momentum: 0}", sgd_plain, 0},
    {"sgd: {momentum: 0.9, weight_decay: 0.01}", sgd_momentum, 0},
    {"sgd: {momentum: 0.9, weight_decay: 0.01}", sgd_momentum, SHORT},
    {"sgd: {momentum: 0.9, weight_decay: 0.01, nesterov: true}", sgd_nesterov, 1e6},
    {"sgd: {momentum: 0.5, weight_decay: 0.1, decay_bias: false}", sgd_without_bias, 0},
    {"sgd: {momentum: 0.5, weight_decay: 0.1, decay_norm: false, nesterov: true}", sgd_without_norm,
        0},
    {"rmsprop: {smoothing: 0.9, eps: 0.001, momentum: 0.8, weight_decay: 0.01}", rmsprop, 0},
    {"adamw: {" MOMENTS ", weight_decay: 0.1}", adamw, 0},
    {"adamw: {" MOMENTS ", weight_decay: 0.1}", adamw, SHORT},
    {"lars: {trust: 0.02, weight_decay: 0.01}", lars_weights, 0},
    {"lars: {trust: 0.02, weight_decay: 0.01, adapt_bias: true, adapt_norm: true}", lars_all,
        SHORT},
    {"lamb: {" MOMENTS "}", lamb_weights, SHORT},
    {"lamb: {" MOMENTS ", adapt_bias: true, adapt_norm: true}", lamb_all, 0},
    {"lamb: {" MOMENTS ", adapt_bias: true, adapt_norm: true}", lamb_all, SHORT},
};
#define UPDATES (int)(sizeof updates / sizeof updates[0])

/* A net, and an optimizer of it. */
struct bench {
    struct net_case net_case;
    struct document document;
    struct optimizer *optimizer;
    size_t size;
};

static void open_bench_with(
    struct bench *bench, const struct update_case *update, int threads, double ema) {
    struct choice choice;
    document_init(&bench->document);
    net_case_init(&bench->net_case, MODEL_RESIDUAL, &pass_options);
    const struct node *node = net_case_parse(&bench->document, update->text);
    CU_ASSERT_EQUAL_FATAL(
        options_parse_choice(&choice, optimizers, node, "optimizer", &bench->net_case.pool),
        STATUS_OK);
    const struct optimizer_options options = {
        .choice = &choice, .threads = threads, .clip_norm = update->clip_norm, .ema = ema};
    CU_ASSERT_EQUAL_FATAL(
        optimizer_create(&bench->optimizer, bench->net_case.net, &options), STATUS_OK);
    bench->size = net_vector_size(bench->net_case.net);
}

static void open_bench(struct bench *bench, const struct update_case *update, int threads) {
    open_bench_with(bench, update, threads, 0);
}

static void close_bench(struct bench *bench) {
    optimizer_destroy(bench->optimizer);
    net_case_release(&bench->net_case);
    document_release(&bench->document);
}

/* The gradient's mean in double, clipped over all that learns; returns its norm before. */
static double mean_gradient(double *mean, const float *gradient, const struct net *net,
    const struct optimizer_step *step, double clip_norm) {
    double sum = 0;
    for (int p = 0; p < net_parameter_count(net); p++) {
        const struct parameter *parameter = net_parameter(net, p);
        double *values = mean + parameter->offset;
        for (size_t i = 0; i < parameter->packed; i++) {
            values[i] = (double)gradient[parameter->offset + i] / (double)step->pictures;
        }
        double norm = norm_of(values, parameter->packed);
        sum += parameter->kind == PARAMETER_STATISTIC ? 0 : norm * norm;
    }
    double norm = sqrt(sum), factor = clip_norm > 0 && norm > clip_norm ? clip_norm / norm : 1;
    for (int p = 0; p < net_parameter_count(net); p++) {
        const struct parameter *parameter = net_parameter(net, p);
        for (size_t i = 0; i < parameter->packed; i++) {
            mean[parameter->offset + i] *= parameter->kind == PARAMETER_STATISTIC ? 1 : factor;
        }
    }
    return norm;
}

static void update_by_textbook(double *const vector[3], const double *mean, const struct net *net,
    const struct update_case *update, const struct optimizer_step *step) {
    for (int p = 0; p < net_parameter_count(net); p++) {
        const struct parameter *parameter = net_parameter(net, p);
        size_t first = parameter->offset;
        const struct textbook book = {.count = parameter->packed,
            .w = vector[0] + first,
            .a = vector[1] + first,
            .b = vector[2] + first,
            .g = mean + first,
            .kind = parameter->kind,
            .rate = step->rate,
            .t = (double)step->step + 1};
        if (parameter->kind != PARAMETER_STATISTIC) {
            update->update(&book);
            continue;
        }
        for (size_t i = 0; i < book.count; i++) {
            book.w[i] += parameter->momentum * (book.g[i] - book.w[i]);
        }
    }
}

/* One step on `vector`, of which the last is scratch; returns the gradient's norm. */
static double step_by_textbook(double *const vector[4], const struct bench *bench,
    const struct update_case *update, const struct optimizer_step *step, double clip_norm) {
    const struct net *net = bench->net_case.net;
    double norm = mean_gradient(vector[3], bench->net_case.gradient[0], net, step, clip_norm);
    update_by_textbook(vector, vector[3], net, update, step);
    return norm;
}

static void open_vectors(double *vector[4], const struct bench *bench) {
    for (int v = 0; v < 4; v++) {
        vector[v] = calloc(bench->size, sizeof(double));
    }
    for (size_t i = 0; i < bench->size; i++) {
        vector[0][i] = (double)net_weights(bench->net_case.net)[i];
    }
}

static void close_vectors(double *vector[4]) {
    for (int v = 0; v < 4; v++) {
        free(vector[v]);
    }
}

static double largest_error(const double *wanted, const float *found, size_t size) {
    double error = 0;
    for (size_t i = 0; i < size; i++) {
        double off = fabs((double)found[i] - wanted[i]);
        error = off > error || isnan(off) ? off : error;
    }
    return error;
}

static void compare_with_textbook(const struct update_case *update) {
    struct bench bench;
    open_bench(&bench, update, 2);
    struct net *net = bench.net_case.net;
    double *vector[4], *unclipped[4], moved = 0;
    open_vectors(vector, &bench);
    open_vectors(unclipped, &bench);
    for (int n = 0; n < STEPS; n++) {
        const struct optimizer_step step = {.rate = 0.05, .pictures = 8, .step = n};
        net_case_run(&bench.net_case);
        double before = vector[0][NET_METRICS];
        double norm = step_by_textbook(vector, &bench, update, &step, update->clip_norm);
        step_by_textbook(unclipped, &bench, update, &step, 0);
        CU_ASSERT_TRUE(update->clip_norm != SHORT || norm > 2 * SHORT);
        optimizer_update_all(bench.optimizer, bench.net_case.gradient[0], &step);
        moved += fabs(vector[0][NET_METRICS] - before);
    }
    double error = largest_error(vector[0], net_weights(net), bench.size);
    double clipped = largest_error(unclipped[0], net_weights(net), bench.size);
    printf("    %s, clipped at %g: off by %.1e, from unclipped %.1e\n", update->text,
        update->clip_norm, error, clipped);
    CU_ASSERT_TRUE(error < 1e-5);
    /* An update that goes by the gradient's direction, as lamb's, tells by its eps. */
    CU_ASSERT_TRUE(update->clip_norm != SHORT || clipped > 1e-2);
    CU_ASSERT_TRUE(moved > 1e-4);
    for (int v = 0; v < optimizer_vector_count(bench.optimizer); v++) {
        CU_ASSERT_TRUE(
            largest_error(vector[1 + v], optimizer_vector(bench.optimizer, v), bench.size) < 1e-4);
    }
    for (int i = 0; i < NET_METRICS; i++) { /* no parameter: never touched */
        CU_ASSERT_EQUAL(net_weights(net)[i], 0.0f);
    }
    close_vectors(vector);
    close_vectors(unclipped);
    close_bench(&bench);
}

static void test_optimizer__all_equal_the_textbook(void) {
    for (int k = 0; k < UPDATES; k++) {
        compare_with_textbook(&updates[k]);
    }
}

static void test_optimizer__all_kinds_have_a_case(void) {
    for (int k = 0; optimizers[k] != NULL; k++) {
        size_t length = strlen(optimizers[k]->name);
        bool found = false;
        for (int i = 0; i < UPDATES; i++) {
            found = found || (strncmp(updates[i].text, optimizers[k]->name, length) == 0 &&
                                 updates[i].text[length] == ':');
        }
        CU_ASSERT_TRUE(found);
    }
}

/* Measures as if `owners` had a share of the blocks each, one after the other; returns the sums of
 * all of them in *all. */
static void measure_in_pieces(struct optimizer *optimizer, int round, const float *gradient,
    size_t size, const struct optimizer_step *step) {
    size_t count, from = 0;
    double *sums = optimizer_sums(optimizer, &count), *all = calloc(count, sizeof(double));
    while (from < size) {
        size_t to = from + NORMS_BLOCK * (size_t)test_random_between(1, 4);
        to = to < size ? to : size;
        optimizer_measure(optimizer, round, gradient, from, to, step);
        for (size_t i = 0; i < count; i++) { /* another owner's turn: it begins with zeros */
            CU_ASSERT_TRUE(sums[i] == 0 || all[i] == 0);
            all[i] += sums[i];
            sums[i] = 0;
        }
        from = to;
    }
    memcpy(sums, all, count * sizeof(double));
    free(all);
    optimizer_conclude(optimizer, round, step);
}

/* Two nets; one vector updated whole, the other in random pieces, with other threads. */
static void compare_cuts(const struct update_case *update) {
    struct bench whole, cut;
    open_bench(&whole, update, 1);
    open_bench(&cut, update, 3);
    net_case_copy(&cut.net_case, &whole.net_case);
    net_case_run(&whole.net_case);
    const float *gradient = whole.net_case.gradient[0];
    size_t size = whole.size;
    for (int n = 0; n < 2; n++) {
        const struct optimizer_step step = {.rate = 0.1, .pictures = 8, .step = n};
        optimizer_update_all(whole.optimizer, gradient, &step);
        for (int round = 0; round < optimizer_rounds(cut.optimizer); round++) {
            measure_in_pieces(cut.optimizer, round, gradient, size, &step);
        }
        for (size_t from = 0; from < size;) {
            size_t to = from + (size_t)test_random_between(1, 300);
            to = to < size ? to : size;
            optimizer_update(cut.optimizer, gradient, from, to, &step);
            from = to;
        }
    }
    size_t bytes = size * sizeof(float);
    CU_ASSERT_EQUAL(
        memcmp(net_weights(whole.net_case.net), net_weights(cut.net_case.net), bytes), 0);
    for (int v = 0; v < optimizer_vector_count(whole.optimizer); v++) {
        CU_ASSERT_EQUAL(
            memcmp(optimizer_vector(whole.optimizer, v), optimizer_vector(cut.optimizer, v), bytes),
            0);
    }
    close_bench(&whole);
    close_bench(&cut);
}

static void test_optimizer__cuts_change_no_bit(void) {
    for (int k = 0; k < UPDATES; k++) {
        compare_cuts(&updates[k]);
    }
}

/* The average of the weights: what each update leaves, statistics included. */
static void test_optimizer__averages_the_weights(void) {
    static const struct update_case update = {"adamw: {}", NULL, 0};
    struct bench bench;
    open_bench_with(&bench, &update, 2, 0.3);
    CU_ASSERT_EQUAL_FATAL(optimizer_vector_count(bench.optimizer), 3);
    CU_ASSERT_EQUAL_FATAL(optimizer_average(bench.optimizer), 2);
    CU_ASSERT_STRING_EQUAL(optimizer_vector_name(bench.optimizer, 2), "ema");
    const float *weights = net_weights(bench.net_case.net);
    double *average = calloc(bench.size, sizeof(double));
    for (size_t i = 0; i < bench.size; i++) {
        average[i] = (double)weights[i];
    }
    net_case_run(&bench.net_case);
    for (int n = 0; n < 8; n++) {
        const struct optimizer_step step = {.rate = 0.1, .pictures = 8, .step = n};
        double stays = fmin(0.3, (1.0 + n) / (10.0 + n)); /* either side of it counts for a while */
        optimizer_update_all(bench.optimizer, bench.net_case.gradient[0], &step);
        for (size_t i = 0; i < bench.size; i++) {
            average[i] = stays * average[i] + (1 - stays) * (double)weights[i];
        }
    }
    CU_ASSERT_TRUE(largest_error(average, optimizer_vector(bench.optimizer, 2), bench.size) < 1e-5);
    CU_ASSERT_TRUE(largest_error(average, weights, bench.size) > 1e-3);
    free(average);
    close_bench(&bench);
}

/* What is clipped and what goes by norms takes the rounds it needs, and no others. */
static void test_optimizer__rounds_are_those_needed(void) {
    static const struct {
        struct update_case update;
        int rounds;
    } wanted[] = {{{"sgd: {}", NULL, 0}, 0}, {{"sgd: {}", NULL, 1}, 1}, {{"lars: {}", NULL, 0}, 1},
        {{"lamb: {}", NULL, 1}, 2}, {{"adamw: {}", NULL, 0}, 0}};
    for (int k = 0; k < 5; k++) {
        struct bench bench;
        open_bench(&bench, &wanted[k].update, 1);
        CU_ASSERT_EQUAL(optimizer_rounds(bench.optimizer), wanted[k].rounds);
        close_bench(&bench);
    }
}

TEST_MAIN("optimizer", TEST(test_optimizer__all_equal_the_textbook),
    TEST(test_optimizer__all_kinds_have_a_case), TEST(test_optimizer__cuts_change_no_bit),
    TEST(test_optimizer__averages_the_weights), TEST(test_optimizer__rounds_are_those_needed))
