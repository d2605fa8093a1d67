/* Whole nets: the same bits however the work is cut, no memory read after its time, what hooks and
 * metrics say. */
#include "base/digest.h"
#include "support/models.h"
#include "support/net_trace.h"
#include "support/support.h"
#include "worker/kernels/convolution.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const models[] = MODELS_OF_EVERYTHING;
#define MODELS (int)(sizeof models / sizeof models[0])

/* 21 pictures in 8 leaves: uneven ones. */
static const struct net_case_options plain = {.pictures = 21, .leaves = 8, .threads = 1};

/* Of the ways in which a convolution is done, as inspect calls them. */
static const char *const ways[] = {"direct", "depthwise", "in dense blocks", "input copied",
    "input and gradient copied", "gradient copied"};
#define WAYS (int)(sizeof ways / sizeof ways[0])

/* Marks what a net has of the registry, and the ways and the forms of Winograd that it runs on. */
static void note_kinds(bool *has_kind, bool *has_way, bool *has_form, const struct net *net) {
    for (int i = 0; i < net->graph.layers; i++) {
        const struct layer *layer = net->graph.layer[i];
        for (int k = 0; layers[k] != NULL; k++) {
            has_kind[k] = has_kind[k] || layers[k] == &layer->operations->kind;
        }
        for (int w = 0; layer->kernels != NULL && w < WAYS; w++) {
            for (int d = 0; d < CONVOLUTION_DIRECTIONS; d++) {
                has_way[w] = has_way[w] || strstr(layer->kernels->text[d], ways[w]) != NULL;
            }
        }
        for (int f = 0; layer->kernels != NULL && f < WINOGRAD_FORMS; f++) {
            const struct winograd_kernels *form = &net->kernels->winograd[f];
            char name[32];
            snprintf(name, sizeof name, "winograd %dx%d, %dx%d", form->output, form->output,
                form->kernel, form->kernel);
            const char *kernel = layer->kernels->text[CONVOLUTION_FORWARD];
            has_form[f] = has_form[f] || strncmp(kernel, name, strlen(name)) == 0;
        }
    }
}

static void test_net__models_have_every_kind_of_layer(void) {
    bool has_kind[256] = {false}, has_way[WAYS] = {false}, has_form[WINOGRAD_FORMS] = {false};
    for (int m = 0; m < MODELS; m++) {
        struct net_case c;
        net_case_init(&c, models[m], &plain);
        note_kinds(has_kind, has_way, has_form, c.net);
        net_case_release(&c);
    }
    for (int k = 0; layers[k] != NULL; k++) {
        const struct layer_operations *operations = (const struct layer_operations *)layers[k];
        if (!has_kind[k] && operations->expand == NULL) { /* containers add plain layers */
            printf("    no model has %s\n", layers[k]->name);
            CU_FAIL("a kind of layer is in no model");
        }
    }
    for (int w = 0; w < WAYS; w++) {
        CU_ASSERT_TRUE(has_way[w]);
    }
    for (int f = 0; f < WINOGRAD_FORMS; f++) {
        CU_ASSERT_TRUE(has_form[f]);
    }
}

static void assert_same_gradient(const struct net_case *a, const struct net_case *b) {
    size_t size = net_vector_size(a->net) * sizeof(float);
    for (int s = 0; s < a->pass.subtrees; s++) {
        CU_ASSERT_EQUAL(memcmp(a->gradient[s], b->gradient[s], size), 0);
    }
}

static bool all_finite(const float *values, size_t count) {
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(values[i])) {
            return false;
        }
    }
    return true;
}

/* Both runs give the same bits in `other` as with plain options; the first run is in *base. */
static void compare_with_plain(
    const char *model, const struct net_case_options *other, bool poison) {
    struct net_case base, c;
    net_case_init(&base, model, &plain);
    net_case_init(&c, model, other);
    net_case_copy(&c, &base);
    c.net->poison = poison;
    net_case_run(&base);
    CU_ASSERT_TRUE(all_finite(base.gradient[0], net_vector_size(base.net)));
    net_case_run(&c);
    assert_same_gradient(&base, &c);
    net_case_run(&c); /* what the first pass left behind must not matter */
    assert_same_gradient(&base, &c);
    net_case_release(&base);
    net_case_release(&c);
}

static void test_net__gives_the_same_bits_for_any_threads(void) {
    for (int m = 0; m < MODELS; m++) {
        for (int threads = 2; threads <= 3; threads++) {
            struct net_case_options other = plain;
            other.threads = threads;
            compare_with_plain(models[m], &other, false);
        }
    }
}

static void test_net__gives_the_same_bits_on_every_instruction_set(void) {
    for (int m = 0; m < MODELS; m++) {
        CPU_FOR_EACH_ISA (isa) {
            struct net_case_options other = plain;
            other.isa = cpu_isa_name(isa);
            compare_with_plain(models[m], &other, false);
        }
    }
}

static void test_net__reads_no_memory_after_its_time(void) {
    for (int m = 0; m < MODELS; m++) {
        compare_with_plain(models[m], &plain, true);
    }
}

/* Also where a value is added that branches on, a sum is rectified that is added to again, and the
 * net ends in what is carried. */
#define MODEL_FUSED                                                                                \
    "input: {channels: 3, height: 7, width: 6}\n"                                                  \
    "layers:\n"                                                                                    \
    "  - conv: {out: 20, kernel: 3, pad: 1}\n"                                                     \
    "  - residual: {body: [{batchnorm: {}}], shortcut: [{conv: {out: 20, kernel: 1}}]}\n"          \
    "  - residual: {body: [{batchnorm: {}}, {relu: {}}]}\n"                                        \
    "  - residual: {body: [{conv: {out: 20, kernel: 1}}, {batchnorm: {}}]}\n"                      \
    "  - residual: {body: [{conv: {out: 20, kernel: 1}}, {batchnorm: {}}], shortcut: [{conv: "     \
    "{out: 20, kernel: 3, pad: 1}}, {batchnorm: {}}]}\n"                                           \
    "  - relu:\n"                                                                                  \
    "  - dropout: 0.3\n"                                                                           \
    "  - residual: {body: [{batchnorm: {}}]}\n"                                                    \
    "  - relu:\n"                                                                                  \
    "  - batchnorm:\n"                                                                             \
    "  - relu:\n"                                                                                  \
    "  - maxpool: {kernel: 2}\n"                                                                   \
    "  - conv: {out: 7, kernel: 3}\n"                                                              \
    "  - batchnorm:\n"                                                                             \
    "  - relu:\n"

#define MODEL_POOLED                                                                               \
    "input: {channels: 3, height: 8, width: 12}\n"                                                 \
    "layers: [{conv: {out: 40, kernel: 3, pad: 1}}, {relu: {}}, {maxpool: {kernel: 2}}, "          \
    "{linear: {out: 21}}]\n"

/* What hands rows on to whom (worker/handoff.h): convolutions of one picture phase and of several,
 * rectified ones whose gradient is needed unmasked elsewhere, forks of many takers, pools. */
#define MODEL_HANDED                                                                               \
    "input: {channels: 3, height: 19, width: 23}\n"                                                \
    "layers:\n"                                                                                    \
    "  - conv: {out: 40, kernel: 3, pad: 1}\n"                                                     \
    "  - relu:\n"                                                                                  \
    "  - conv: {out: 33, kernel: 3, pad: 1, bias: false}\n"                                        \
    "  - batchnorm:\n"                                                                             \
    "  - relu:\n"                                                                                  \
    "  - branches: [[{conv: {out: 17, kernel: 1}}, {relu: {}}], [{conv: {out: 5, kernel: 1}}, "    \
    "{batchnorm: {}}, {relu: {}}, {conv: {out: 16, kernel: 3, pad: 1}}], [{maxpool: {kernel: 3, "  \
    "stride: 1, pad: 1}}]]\n"                                                                      \
    "  - residual: {body: [{conv: {out: 66, kernel: 1}}, {relu: {}}]}\n"                           \
    "  - conv: {out: 20, kernel: 3, stride: 2, pad: 1}\n"                                          \
    "  - relu:\n"                                                                                  \
    "  - batchnorm:\n"                                                                             \
    "  - residual: {body: [{conv: {out: 20, kernel: 3, pad: 1}}, {batchnorm: {}}, {relu: {}}, "    \
    "{conv: {out: 20, kernel: 1, bias: false}}, {batchnorm: {}}]}\n"                               \
    "  - relu:\n"                                                                                  \
    "  - residual: {body: [{conv: {out: 20, kernel: 3, pad: 1}}, {batchnorm: {}}]}\n"              \
    "  - relu:\n"                                                                                  \
    "  - maxpool: {kernel: 2, ceil: true}\n"                                                       \
    "  - conv: {out: 24, kernel: 3, groups: 4, pad: 1}\n"                                          \
    "  - relu:\n"                                                                                  \
    "  - avgpool: {kernel: 2}\n"                                                                   \
    "  - linear: {out: 21}\n"                                                                      \
    "  - relu:\n"                                                                                  \
    "  - linear: {out: 10}\n"

static void compare_fused(const char *model, bool evaluation, int threads) {
    struct net_case fused, unfused;
    struct net_case_options options = plain;
    options.evaluation = evaluation;
    options.threads = threads;
    net_case_init(&fused, model, &options);
    options.unfused = true;
    options.threads = 1;
    net_case_init(&unfused, model, &options);
    net_case_copy(&fused, &unfused);
    size_t elements = 21 * shape_elements(net_output_shape(fused.net));
    float *a = malloc(elements * sizeof(float)), *b = malloc(elements * sizeof(float));
    for (int run = 0; run < 2; run++) { /* the second reads nothing after its time */
        fused.net->poison = run == 1;
        net_case_run(&fused);
        net_case_run(&unfused);
        net_output(a, fused.net, 21);
        net_output(b, unfused.net, 21);
        CU_ASSERT_EQUAL(memcmp(a, b, elements * sizeof(float)), 0);
        if (!evaluation) {
            assert_same_gradient(&fused, &unfused);
        }
    }
    CU_ASSERT_TRUE(
        net_memory_report(fused.net).activations <= net_memory_report(unfused.net).activations);
    free(a);
    free(b);
    net_case_release(&fused);
    net_case_release(&unfused);
}

static void test_net__gives_the_same_bits_fused_and_unfused(void) {
    for (int evaluation = 0; evaluation < 2; evaluation++) {
        for (int m = 0; m < MODELS; m++) {
            compare_fused(models[m], evaluation, 1);
        }
        compare_fused(MODEL_FUSED, evaluation, 1);
        for (int threads = 1; threads <= 3; threads++) {
            compare_fused(MODEL_WINOGRAD, evaluation, threads);
            compare_fused(MODEL_GROUPS, evaluation, threads);
            compare_fused(MODEL_HANDED, evaluation, threads);
        }
    }
}

static void assert_fused(const struct net *net, const char *name, const char *into) {
    for (int i = 0; i < net_layer_count(net); i++) {
        struct layer_report report = net_layer_report(net, i);
        if (strcmp(report.name, name) == 0) {
            CU_ASSERT_STRING_EQUAL(report.fused, into);
            return;
        }
    }
    CU_FAIL("no such layer");
}

static void test_net__fuses_what_follows_batch_norm(void) {
    struct net_case c;
    net_case_init(&c, MODEL_RESIDUAL, &plain);
    assert_fused(c.net, "bn1", "");
    assert_fused(c.net, "relu1", "bn1");
    assert_fused(c.net, "layer1.0.add", "layer1.0.bn2");
    assert_fused(c.net, "layer2.0.add", "layer2.0.downsample.1");
    assert_fused(c.net, "layer2.0.bn2", "");
    net_case_release(&c);
    net_case_init(&c, MODEL_FUSED, &plain);
    assert_fused(c.net, "residual1.add", ""); /* what comes last on the shortcut is no batch norm */
    assert_fused(c.net, "residual2.body.relu1", "residual2.body.batchnorm1");
    assert_fused(c.net, "residual2.add", "");
    assert_fused(c.net, "residual3.add", "residual3.body.batchnorm1");
    assert_fused(c.net, "residual4.add", "residual4.shortcut.batchnorm1");
    assert_fused(c.net, "relu1", "residual4.shortcut.batchnorm1");
    net_case_release(&c);
}

static void assert_copies(
    const struct net *net, const char *name, int64_t forward, int64_t backward) {
    for (int i = 0; i < net_layer_count(net); i++) {
        struct layer_report report = net_layer_report(net, i);
        if (strcmp(report.name, name) == 0) {
            CU_ASSERT_EQUAL(report.forward_bytes, forward * 2 * (int64_t)sizeof(float));
            CU_ASSERT_EQUAL(report.backward_bytes, backward * 2 * (int64_t)sizeof(float));
            return;
        }
    }
    CU_FAIL("no such layer");
}

/* Elements that a concatenation still copies. */
static void test_net__makes_what_is_concatenated_in_its_place(void) {
    struct net_case c;
    net_case_init(&c, MODEL_BRANCHES, &plain);
    assert_copies(c.net, "branches1.concat", 0, 20 * 42); /* which wants a border */
    assert_copies(c.net, "inception1.concat", 0, 0);
    assert_copies(c.net, "branches2.0.branches1.concat", 0, 0);
    assert_copies(c.net, "branches2.concat", (80 + 7 + 16) * 42, (7 + 16) * 42); /* lanes move */
    net_case_release(&c);
}

/* Of a max-pool that hands its gradient to a relu: the taps that won, and the relu's output. */
static void test_net__counts_what_a_pool_cannot_but_read_and_write(void) {
    struct net_case c;
    net_case_init(&c, MODEL_POOLED, &plain);
    const int64_t in = 40 * 8 * 12 * (int64_t)sizeof(float), taps = 48 * 4 * 6;
    const struct layer_report report = net_layer_report(c.net, 2);
    CU_ASSERT_STRING_EQUAL(report.kind, "maxpool");
    CU_ASSERT_EQUAL(report.forward_bytes, in + in / 4 + taps);
    CU_ASSERT_EQUAL(report.backward_bytes, in + in / 4 + taps + in);
    net_case_release(&c);
}

static void assert_handed(
    const struct net *net, const char *name, const char *input_from, const char *gradient_from) {
    for (int i = 0; i < net_layer_count(net); i++) {
        struct layer_report report = net_layer_report(net, i);
        if (strcmp(report.name, name) == 0) {
            CU_ASSERT_STRING_EQUAL(report.input_from, input_from);
            CU_ASSERT_STRING_EQUAL(report.gradient_from, gradient_from);
            return;
        }
    }
    CU_FAIL("no such layer");
}

static void test_net__hands_on_what_is_in_cache(void) {
    struct net_case c;
    net_case_init(&c, MODEL_HANDED, &plain);
    assert_fused(c.net, "relu1", "conv1");
    assert_handed(c.net, "conv1", "", "conv2");
    assert_handed(c.net, "conv2", "", ""); /* does nothing with its gradient at first */
    assert_handed(c.net, "batchnorm1", "conv2", "branches1.fork");
    assert_handed(c.net, "branches1.fork", "", "branches1.0.conv1");
    assert_handed(c.net, "branches1.0.conv1", "", ""); /* concat hands nothing on */
    assert_handed(c.net, "branches1.1.batchnorm1", "branches1.1.conv1", "branches1.1.conv2");
    assert_fused(c.net, "residual1.body.relu1", "residual1.body.conv1");
    assert_handed(c.net, "residual1.body.conv1", "", ""); /* nor does add */
    assert_handed(c.net, "residual1.fork", "", "residual1.body.conv1");
    assert_fused(c.net, "residual1.add", "");
    assert_fused(c.net, "relu3", "conv3");
    assert_handed(c.net, "residual3.body.batchnorm1", "residual3.body.conv1", "maxpool1");
    assert_handed(c.net, "conv4", "", "avgpool1");
    assert_handed(c.net, "linear1", "", "linear2");
    net_case_release(&c);
}

/* The part of a pass that is one subtree, as a pass of its own. */
static void run_part(struct net_case *c, const struct net_case *whole, struct subtree part) {
    static const struct subtree all_of_it[] = {{0, 1}, {0, 2}, {0, 4}, {0, 8}};
    int first = whole->leaf_start[part.first];
    for (int l = 0; l <= part.leaves; l++) {
        c->leaf_start[l] = whole->leaf_start[part.first + l] - first;
    }
    c->pass = whole->pass;
    c->pass.gradient = c->gradient;
    c->pass.first_position += first;
    c->pass.pictures = c->leaf_start[part.leaves];
    c->pass.leaves = part.leaves;
    c->pass.leaf_start = c->leaf_start;
    c->pass.subtrees = 1;
    c->pass.subtree = &all_of_it[part.leaves == 8 ? 3 : part.leaves / 2];
    size_t elements = shape_elements(net_input_shape(c->net));
    net_forward(c->net, &c->pass, whole->pixels + (size_t)first * elements, whole->targets + first);
    net_backward(c->net, &c->pass, NULL);
}

static void compare_chunks(const char *model, int pictures, int chunk) {
    struct net_case_options options = plain;
    struct net_case whole, part;
    options.pictures = pictures;
    net_case_init(&whole, model, &options);
    net_case_init(&part, model, &options);
    net_case_copy(&part, &whole);
    net_case_run(&whole);
    size_t size = net_vector_size(whole.net);
    float *partial = calloc(8 * size, sizeof(float));
    struct tree_counter counter = {0};
    for (int first = 0; first < 8; first += chunk) {
        struct subtree subtree = {first, chunk};
        int slot = tree_counter_push(&counter, subtree), into, from;
        run_part(&part, &whole, subtree);
        memcpy(partial + (size_t)slot * size, part.gradient[0], size * sizeof(float));
        while (tree_counter_merge(&counter, &into, &from)) {
            bool empty = whole.leaf_start[first + chunk] ==
                         whole.leaf_start[first + chunk - counter.stack[into].leaves / 2];
            for (size_t i = 0; !empty && i < size; i++) {
                partial[(size_t)into * size + i] += partial[(size_t)from * size + i];
            }
        }
    }
    CU_ASSERT_EQUAL(memcmp(partial, whole.gradient[0], size * sizeof(float)), 0);
    free(partial);
    part.pass.subtrees = 1; /* of whose gradient it holds the memory */
    net_case_release(&part);
    net_case_release(&whole);
}

static void test_net__gives_the_same_bits_in_chunks(void) {
    for (int m = 0; m < MODELS; m++) {
        compare_chunks(models[m], 21, 4);
        compare_chunks(models[m], 21, 1);
        compare_chunks(models[m], 5, 2); /* the last leaves are empty */
    }
}

static void test_net__layers_equal_references_in_the_whole(void) {
    for (int m = 0; m < MODELS; m++) {
        struct net_case c;
        struct net_trace trace;
        struct net_case_options options = plain;
        options.unfused = true;
        net_case_init(&c, models[m], &options);
        net_trace_run(&trace, &c);
        for (int i = 0; i < net_layer_count(c.net); i++) {
            net_trace_compare(&trace, &c, i, 1e-4);
        }
        net_trace_release(&trace, &c);
        net_case_release(&c);
    }
}

/* In evaluation a training net gives what an evaluation net gives, whose plan is another. */
static void test_net__evaluates_alike_with_and_without_training(void) {
    for (int m = 0; m < MODELS; m++) {
        struct net_case training, evaluation;
        struct net_case_options options = plain;
        net_case_init(&training, models[m], &options);
        options.evaluation = true;
        net_case_init(&evaluation, models[m], &options);
        net_case_copy(&evaluation, &training);
        training.pass.training = false;
        int classes = net_output_shape(training.net).channels;
        float *a = malloc(21 * (size_t)classes * sizeof(float));
        float *b = malloc(21 * (size_t)classes * sizeof(float));
        net_case_run(&evaluation);
        net_forward(training.net, &training.pass, training.pixels, training.targets);
        net_output(a, training.net, 21);
        net_output(b, evaluation.net, 21);
        CU_ASSERT_EQUAL(memcmp(a, b, 21 * (size_t)classes * sizeof(float)), 0);
        CU_ASSERT_EQUAL(training.gradient[0][NET_LOSS], evaluation.gradient[0][NET_LOSS]);
        CU_ASSERT_EQUAL(training.gradient[0][NET_PICTURES], 21.0f);
        CU_ASSERT_TRUE(net_memory_report(evaluation.net).activations <
                       net_memory_report(training.net).activations);
        free(a);
        free(b);
        net_case_release(&training);
        net_case_release(&evaluation);
    }
}

struct ranges {
    size_t done;
    int calls, between;
    bool in_order;
};

static void note_range(void *context, size_t from, size_t to) {
    struct ranges *ranges = context;
    ranges->in_order = ranges->in_order && from == ranges->done && to > from;
    ranges->done = to;
    ranges->calls++;
}

static void note_between(void *context) {
    ((struct ranges *)context)->between++;
}

/* Whoever owns a piece of the weights changes it as soon as `ready` was called for it. */
static void spoil_weights(void *context, size_t from, size_t to) {
    struct net *net = context;
    for (size_t i = from; i < to; i++) {
        net_weights(net)[i] = NAN;
    }
}

static void test_net__weights_are_not_read_once_their_gradient_is_ready(void) {
    for (int m = 0; m < MODELS; m++) {
        struct net_case whole, spoiled;
        net_case_init(&whole, models[m], &plain);
        net_case_init(&spoiled, models[m], &plain);
        net_case_copy(&spoiled, &whole);
        net_case_run(&whole);
        const struct net_hooks hooks = {.ready = spoil_weights, .context = spoiled.net};
        net_forward(spoiled.net, &spoiled.pass, spoiled.pixels, spoiled.targets);
        net_backward(spoiled.net, &spoiled.pass, &hooks);
        assert_same_gradient(&whole, &spoiled);
        net_case_release(&spoiled);
        net_case_release(&whole);
    }
}

static void test_net__hooks_cover_the_vector_in_order(void) {
    struct net_case c;
    struct ranges ranges = {.in_order = true};
    const struct net_hooks hooks = {note_range, note_between, &ranges};
    net_case_init(&c, MODEL_RESIDUAL, &plain);
    net_forward(c.net, &c.pass, c.pixels, c.targets);
    net_backward(c.net, &c.pass, &hooks);
    CU_ASSERT_TRUE(ranges.in_order);
    CU_ASSERT_EQUAL(ranges.done, net_vector_size(c.net));
    CU_ASSERT_TRUE(ranges.calls > 10);
    CU_ASSERT_EQUAL(ranges.between, net_layer_count(c.net));
    net_case_release(&c);
}

static void test_net__names_the_first_layer_that_is_not_finite(void) {
    struct net_case c;
    net_case_init(&c, MODEL_RESIDUAL, &plain);
    CU_ASSERT_PTR_NULL(net_find_not_finite(c.net, &c.pass, c.pixels, c.targets));
    for (int p = 0; p < net_parameter_count(c.net); p++) {
        const struct parameter *parameter = net_parameter(c.net, p);
        if (strcmp(parameter->name, "layer1.1.conv2.weight") == 0) {
            net_weights(c.net)[parameter->offset] = NAN;
        }
    }
    const char *name = net_find_not_finite(c.net, &c.pass, c.pixels, c.targets);
    CU_ASSERT_PTR_NOT_NULL_FATAL(name);
    CU_ASSERT_STRING_EQUAL(name, "layer1.1.conv2");
    net_case_run(&c);
    CU_ASSERT_FALSE(isfinite(c.gradient[0][NET_LOSS]));
    net_case_release(&c);
}

/* One step of descent along the gradient must lower the loss by what the gradient says. */
static void test_net__gradient_predicts_the_loss(void) {
    for (int m = 0; m < MODELS; m++) {
        struct net_case c;
        net_case_init(&c, models[m], &plain);
        net_case_run(&c);
        double before = (double)c.gradient[0][NET_LOSS], length = 0;
        size_t size = net_vector_size(c.net);
        float *gradient = malloc(size * sizeof(float));
        memcpy(gradient, c.gradient[0], size * sizeof(float));
        for (int p = 0; p < net_parameter_count(c.net); p++) {
            const struct parameter *parameter = net_parameter(c.net, p);
            for (size_t i = parameter->offset; i < parameter->offset + parameter->packed; i++) {
                if (parameter->kind == PARAMETER_STATISTIC) {
                    gradient[i] = 0;
                }
                length += (double)gradient[i] * (double)gradient[i];
            }
        }
        double step = 0.003 * before / length;
        for (size_t i = NET_METRICS; i < size; i++) {
            net_weights(c.net)[i] -= (float)step * gradient[i];
        }
        net_case_run(&c);
        double change = (before - (double)c.gradient[0][NET_LOSS]) / (step * length);
        CU_ASSERT_DOUBLE_EQUAL(change, 1.0, 0.1);
        free(gradient);
        net_case_release(&c);
    }
}

TEST_MAIN("net", TEST(test_net__models_have_every_kind_of_layer),
    TEST(test_net__gives_the_same_bits_for_any_threads),
    TEST(test_net__gives_the_same_bits_on_every_instruction_set),
    TEST(test_net__reads_no_memory_after_its_time),
    TEST(test_net__gives_the_same_bits_fused_and_unfused),
    TEST(test_net__fuses_what_follows_batch_norm), TEST(test_net__hands_on_what_is_in_cache),
    TEST(test_net__makes_what_is_concatenated_in_its_place),
    TEST(test_net__counts_what_a_pool_cannot_but_read_and_write),
    TEST(test_net__gives_the_same_bits_in_chunks),
    TEST(test_net__layers_equal_references_in_the_whole),
    TEST(test_net__evaluates_alike_with_and_without_training),
    TEST(test_net__hooks_cover_the_vector_in_order),
    TEST(test_net__weights_are_not_read_once_their_gradient_is_ready),
    TEST(test_net__names_the_first_layer_that_is_not_finite),
    TEST(test_net__gradient_predicts_the_loss))
