/* Every layer against its reference in double precision, and the reference against differences.
 * The loop runs over the registry: a kind without a case or a reference fails. */
#include "support/net_trace.h"
#include "support/support.h"

#include <stdio.h>
#include <string.h>

/* Layers `layers`, the last of which is of the kind; a first convolution, so that gradients are
 * wanted. */
struct layer_case {
    const char *kind;
    const char *input; /* channels, height, width */
    const char *layers;
};

#define INPUT(c, h, w) "{channels: " #c ", height: " #h ", width: " #w "}"
static const struct layer_case cases[] = {
    {"conv", INPUT(3, 7, 6), "{conv: {out: 5, kernel: 3, pad: 1}}"},
    {"conv", INPUT(17, 5, 9), "{conv: {out: 33, kernel: [1, 3], pad: [0, 1], bias: false}}"},
    {"conv", INPUT(4, 11, 11), "{conv: {out: 6, kernel: 5, stride: 2, pad: 2, groups: 2}}"},
    {"conv", INPUT(2, 9, 8), "{conv: {out: 18, kernel: 3, dilation: 2, stride: [2, 1]}}"},
    {"conv", INPUT(3, 6, 5), "{conv: {out: 4, kernel: 3, table: [[0], [0, 2], [1], [0, 1, 2]]}}"},
    {"conv", INPUT(18, 4, 5),
        "{conv: {out: 3, kernel: 2, bias: false, table: [[17], [0, 16], [5]]}}"},
    {"conv_transpose", INPUT(3, 5, 4), "{conv_transpose: {out: 5, kernel: 3, stride: 2, pad: 1}}"},
    {"conv_transpose", INPUT(18, 4, 3),
        "{conv_transpose: {out: 6, kernel: 4, stride: [3, 2], output_pad: [2, 1], groups: 2}}"},
    {"conv", INPUT(19, 6, 7), "{conv: {out: 19, kernel: 3, stride: 2, pad: 1, groups: 19}}"},
    {"conv_transpose", INPUT(17, 4, 5),
        "{conv_transpose: {out: 17, kernel: 3, stride: 2, pad: 1, groups: 17}}"},
    {"conv_transpose", INPUT(2, 3, 5),
        "{conv_transpose: {out: 17, kernel: [2, 3], dilation: 2, bias: false}}"},
    {"conv_transpose", INPUT(33, 4, 4), "{conv_transpose: {out: 20, kernel: 3, pad: 1}}"},
    {"conv_transpose", INPUT(6, 3, 3), "{conv_transpose: {out: 3, kernel: 2, stride: 4}}"},
    {"conv_transpose", INPUT(5, 1, 1), "{conv_transpose: {out: 4, kernel: 4}}"},
    {"linear", INPUT(5, 3, 4), "{linear: {out: 7}}"},
    {"linear", INPUT(18, 2, 1), "{linear: {out: 35, bias: false}}"},
    {"maxpool", INPUT(5, 7, 9), "{maxpool: {kernel: 2}}"},
    {"maxpool", INPUT(20, 7, 7), "{maxpool: {kernel: 3, stride: 2, pad: 1}}"},
    {"maxpool", INPUT(3, 6, 5), "{maxpool: {kernel: [3, 2], stride: 1, pad: [1, 0]}}"},
    {"maxpool", INPUT(18, 6, 9), "{maxpool: {kernel: 3, stride: 1, pad: 1}}"},
    {"maxpool", INPUT(2, 16, 16), "{maxpool: {kernel: 16}}"},
    {"maxpool", INPUT(3, 3, 24), "{maxpool: {kernel: [1, 11], stride: 1}}"},
    {"avgpool", INPUT(5, 7, 9), "{avgpool: {kernel: 2}}"},
    {"avgpool", INPUT(20, 7, 7), "{avgpool: {kernel: 3, stride: 2, pad: 1}}"},
    {"avgpool", INPUT(3, 6, 5), "{avgpool: {kernel: 3, stride: 2, pad: 1, count_pad: false}}"},
    {"avgpool", INPUT(17, 5, 3), "{avgpool: {global: true}}"},
    {"avgpool", INPUT(18, 7, 6), "{avgpool: {kernel: 3, stride: 1, pad: 1}}"},
    {"avgpool", INPUT(18, 7, 6), "{avgpool: {kernel: 3, stride: 1, pad: 1, count_pad: false}}"},
    {"avgpool", INPUT(3, 6, 5), "{avgpool: {kernel: [2, 7], pad: [0, 1]}}"},
    {"avgpool", INPUT(4, 9, 11), "{avgpool: {kernel: 5, stride: 3}}"},
    {"avgpool", INPUT(4, 9, 10), "{avgpool: {kernel: 2, stride: 3}}"},
    {"maxpool", INPUT(3, 8, 7), "{maxpool: {kernel: 3, stride: 2, ceil: true}}"},
    {"maxpool", INPUT(3, 6, 5), "{maxpool: {kernel: 2, stride: 3, pad: 1, ceil: true}}"},
    {"avgpool", INPUT(3, 8, 7), "{avgpool: {kernel: 3, stride: 2, pad: 1, ceil: true}}"},
    {"maxpool", INPUT(17, 6, 9), "{maxpool: {adaptive: [3, 3]}}"},
    {"maxpool", INPUT(17, 7, 11), "{maxpool: {adaptive: [3, 4]}}"},
    {"maxpool", INPUT(3, 8, 13), "{maxpool: {adaptive: [7, 5]}}"},
    {"maxpool", INPUT(3, 13, 8), "{maxpool: {adaptive: [5, 3]}}"},
    {"avgpool", INPUT(17, 6, 9), "{avgpool: {adaptive: [3, 3]}}"},
    {"avgpool", INPUT(17, 7, 5), "{avgpool: {adaptive: [3, 8]}}"},
    {"avgpool", INPUT(6, 4, 5), "{avgpool: {kernel: 2, sum: true}}"},
    {"lrn", INPUT(19, 3, 4), "{lrn: {alpha: 0.5}}"},
    {"lrn", INPUT(35, 2, 19), "{lrn: {alpha: 1000, k: 0.01}}"},
    {"lrn", INPUT(40, 2, 37), "{lrn: {alpha: 2, beta: 0.6}}"},
    {"lrn", INPUT(5, 3, 4), "{lrn: {size: 4, alpha: 2, beta: 0.6, k: 2}}"},
    {"lrn", INPUT(33, 2, 3), "{lrn: {size: 21, alpha: 2}}"},
    {"lrn", INPUT(17, 5, 6), "{lrn: {size: 3, alpha: 2, within: true}}"},
    {"lrn", INPUT(3, 4, 5), "{lrn: {size: 4, alpha: 3, beta: 1, within: true}}"},
    {"batchnorm", INPUT(5, 4, 3), "{batchnorm: {}}"},
    {"batchnorm", INPUT(19, 3, 1), "{batchnorm: {eps: 0.01, momentum: 0.3}}"},
    {"batchnorm", INPUT(19, 4, 3), "{batchnorm: {sync: true}}"},
    {"relu", INPUT(5, 3, 4), "{relu: {}}"},
    {"relu", INPUT(16, 2, 2), "{relu: {}}"},
    {"leaky_relu", INPUT(5, 3, 4), "{leaky_relu: {}}"},
    {"leaky_relu", INPUT(17, 3, 4), "{leaky_relu: 0.3}"},
    {"prelu", INPUT(19, 3, 4), "{prelu: {}}"},
    {"prelu", INPUT(35, 2, 3), "{prelu: {shared: true}}"},
    {"rrelu", INPUT(19, 3, 5), "{rrelu: {}}"},
    {"rrelu", INPUT(5, 3, 4), "{rrelu: {lower: 0.2, upper: 0.9}}"},
    {"elu", INPUT(5, 3, 4), "{elu: {}}"},
    {"elu", INPUT(17, 2, 3), "{elu: 0.4}"},
    {"softplus", INPUT(5, 3, 4), "{softplus: {}}"},
    {"softplus", INPUT(33, 2, 1), "{softplus: 4}"},
    {"scale", INPUT(19, 3, 4), "{scale: {}}"},
    {"scale", INPUT(5, 3, 4), "{scale: {bias: false}}"},
    {"scale", INPUT(5, 4, 6), "{subsample: {}}"},
    {"pad_channels", INPUT(5, 7, 6), "{pad_channels: {out: 13, stride: 2}}"},
    {"pad_channels", INPUT(19, 4, 5), "{pad_channels: {out: 50, stride: 3}}"},
    {"pad_channels", INPUT(16, 3, 3), "{pad_channels: {out: 32}}"},
    {"tanh", INPUT(5, 3, 4), "{tanh: {}}"},
    {"lecun_tanh", INPUT(5, 3, 4), "{lecun_tanh: {}}"},
    {"rbf", INPUT(84, 1, 1), "{rbf: {}}"},
    {"rbf", INPUT(19, 1, 1), "{rbf: {out: 17, codes: random}}"},
    {"sigmoid", INPUT(5, 3, 4), "{sigmoid: {}}"},
    {"sigmoid", INPUT(33, 1, 1), "{sigmoid: {}}"},
    {"softmax", INPUT(19, 2, 3), "{softmax: {}}"},
    {"softmax", INPUT(4, 1, 1), "{softmax: {}}"},
    {"dropout", INPUT(19, 3, 5), "{dropout: 0.3}"},
    {"dropout", INPUT(5, 2, 2), "{dropout: {rate: 0}}"},
    {"flatten", INPUT(5, 3, 4), "{flatten: {}}"},
    {"flatten", INPUT(32, 1, 2), "{flatten: {}}"},
    {"fork", INPUT(5, 3, 4), "{residual: {body: [{relu: {}}]}}"},
    {"add", INPUT(5, 3, 4),
        "{residual: {body: [{conv: {out: 6, kernel: 1}}], shortcut: [{conv: {out: 6, kernel: "
        "1}}]}}"},
    {"concat", INPUT(5, 3, 4),
        "{branches: [[{conv: {out: 7, kernel: 1}}], [], [{conv: {out: 16, kernel: 1}}]]}"},
    {"concat", INPUT(16, 2, 3),
        "{branches: [[{conv: {out: 32, kernel: 1}}], [{conv: {out: 16, kernel: 1}}]]}"},
};
#define CASES (int)(sizeof cases / sizeof cases[0])

/* A whole model: a convolution, the case, and a linear layer that ends it. */
static const char *model_of(const struct layer_case *layer_case) {
    static char model[1024];
    int channels = 0; /* the convolution keeps them, so that the case means what it says */
    sscanf(layer_case->input, "{channels: %d", &channels);
    snprintf(model, sizeof model,
        "input: %s\nlayers:\n  - conv: {out: %d, kernel: 1}\n  - %s\n  - linear: {out: 3}\n",
        layer_case->input, channels, layer_case->layers);
    return model;
}

static bool has_kind(const struct net *net, int index, const char *kind) {
    return strcmp(net->graph.layer[index]->operations->kind.name, kind) == 0;
}

static void compare_with_reference(
    const struct layer_case *layer_case, const struct net_case_options *options, bool differences) {
    struct net_case c;
    struct net_trace trace;
    struct net_case_options unfused = *options;
    unfused.unfused = true;
    net_case_init(&c, model_of(layer_case), &unfused);
    net_trace_run(&trace, &c);
    bool seen = false;
    for (int i = 0; i < net_layer_count(c.net); i++) {
        seen = seen || has_kind(c.net, i, layer_case->kind);
        net_trace_compare(&trace, &c, i, 3e-5);
        if (differences && has_kind(c.net, i, layer_case->kind)) {
            net_trace_differences(&c, i);
        }
    }
    CU_ASSERT_TRUE(seen);
    net_trace_release(&trace, &c);
    net_case_release(&c);
}

static void test_layers__all_kinds_have_a_case(void) {
    for (int k = 0; layers[k] != NULL; k++) {
        const struct layer_operations *operations = (const struct layer_operations *)layers[k];
        bool found = operations->expand != NULL; /* containers are tested by what they make */
        for (int i = 0; i < CASES; i++) {
            found = found || strcmp(cases[i].kind, layers[k]->name) == 0;
        }
        if (!found) {
            printf("    layer %s has no case\n", layers[k]->name);
        }
        CU_ASSERT_TRUE(found);
    }
}

static void test_layers__references_are_derivatives(void) {
    const struct net_case_options options = {.pictures = 4, .leaves = 2, .threads = 1};
    for (int i = 0; i < CASES; i++) {
        compare_with_reference(&cases[i], &options, true);
    }
}

static void test_layers__equal_references_with_empty_leaves(void) {
    const struct net_case_options options = {.pictures = 5, .leaves = 8, .threads = 2, .limit = 2};
    for (int i = 0; i < CASES; i++) {
        if (strcmp(cases[i].kind, "batchnorm") != 0 || strstr(cases[i].input, "width: 1") == NULL) {
            compare_with_reference(&cases[i], &options, false);
        }
    }
}

static void test_layers__equal_references_in_evaluation(void) {
    const struct net_case_options options = {
        .pictures = 3, .leaves = 1, .threads = 2, .evaluation = true};
    for (int i = 0; i < CASES; i++) {
        compare_with_reference(&cases[i], &options, false);
    }
}

static void test_layers__without_pictures_leave_zeros(void) {
    const struct net_case_options options = {.pictures = 0, .leaves = 4, .threads = 2};
    for (int i = 0; i < CASES; i++) {
        struct net_case c;
        net_case_init(&c, model_of(&cases[i]), &options);
        net_case_run(&c);
        for (size_t k = 0; k < net_vector_size(c.net); k++) {
            if (c.gradient[0][k] != 0.0f) {
                printf("    %s: element %zu is %g\n", cases[i].layers, k, (double)c.gradient[0][k]);
                CU_FAIL("a gradient without pictures is not zero");
                break;
            }
        }
        net_case_release(&c);
    }
}

TEST_MAIN("layers", TEST(test_layers__all_kinds_have_a_case),
    TEST(test_layers__references_are_derivatives),
    TEST(test_layers__equal_references_with_empty_leaves),
    TEST(test_layers__equal_references_in_evaluation),
    TEST(test_layers__without_pictures_leave_zeros))
