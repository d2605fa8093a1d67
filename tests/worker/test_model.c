/* From a model's text to layers: names, shapes, parameters; and errors that name layer and line. */
#include "io/yaml.h"
#include "support/models.h"
#include "support/net_case.h"
#include "support/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define INPUT "input: {channels: 3, height: 8, width: 8}\nlayers:\n"

static const struct net_options planned = {
    .pictures = 2, .leaves = 1, .leaf = 2, .threads = 1, .training = true, .plan_only = true};

struct model {
    struct document document;
    struct net *net;
};

static void open_text(struct model *model, const char *text) {
    document_init(&model->document);
    CU_ASSERT_EQUAL_FATAL(
        net_create(&model->net, net_case_parse(&model->document, text), &planned), STATUS_OK);
}

static void open_file(struct model *model, const char *path) {
    struct node *root;
    document_init(&model->document);
    CU_ASSERT_EQUAL_FATAL(yaml_load(&model->document, &root, path), STATUS_OK);
    CU_ASSERT_EQUAL_FATAL(net_create(&model->net, root, &planned), STATUS_OK);
}

static void close_model(struct model *model) {
    net_destroy(model->net);
    document_release(&model->document);
}

static bool has_parameter(const struct net *net, const char *name) {
    for (int p = 0; p < net_parameter_count(net); p++) {
        if (strcmp(net_parameter(net, p)->name, name) == 0) {
            return true;
        }
    }
    printf("    no parameter is called %s\n", name);
    return false;
}

static bool has_layer(const struct net *net, const char *name) {
    for (int i = 0; i < net_layer_count(net); i++) {
        if (strcmp(net_layer_report(net, i).name, name) == 0) {
            return true;
        }
    }
    printf("    no layer is called %s\n", name);
    return false;
}

static void test_model__names_layers_by_kind_and_place(void) {
    struct model m;
    open_text(&m, INPUT "  - conv: {out: 4, kernel: 3}\n"
                        "  - relu:\n"
                        "  - conv: {out: 4, kernel: 1}\n"
                        "  - residual: {body: [{conv: {out: 4, kernel: 1}}, {relu: {}}]}\n"
                        "  - residual: {name: stage, repeat: 2, body: [{conv: {out: 4, kernel: 1, "
                        "name: a}}, {relu: {}}]}\n"
                        "  - branches: [[{conv: {out: 4, kernel: 1}}], [{relu: {}}]]\n"
                        "  - repeat: {times: 2, layers: [{conv: {out: 8, kernel: 1}}]}\n"
                        "  - linear: {out: 2, name: head.fc}\n");
    static const char *const names[] = {"conv1", "relu1", "conv2", "residual1.fork",
        "residual1.body.conv1", "residual1.body.relu1", "residual1.add", "stage.0.a",
        "stage.1.body.relu1", "branches1.0.conv1", "branches1.1.relu1", "branches1.concat",
        "repeat1.0.conv1", "repeat1.1.conv1", "head.fc"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        CU_ASSERT_TRUE(has_layer(m.net, names[i]));
    }
    CU_ASSERT_TRUE(has_parameter(m.net, "head.fc.bias"));
    close_model(&m);
}

static void test_model__blocks_have_the_names_of_torchvision(void) {
    struct model m;
    open_text(&m, MODEL_RESIDUAL);
    static const char *const names[] = {"conv1.weight", "bn1.running_mean", "layer1.0.conv1.weight",
        "layer1.1.bn2.running_var", "layer2.0.downsample.0.weight", "layer2.0.downsample.1.bias",
        "layer3.0.conv3.weight", "inception1.branch1.conv.weight", "inception1.branch3.1.bn.weight",
        "inception1.branch4.1.conv.weight", "fc.weight"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        CU_ASSERT_TRUE(has_parameter(m.net, names[i]));
    }
    CU_ASSERT_EQUAL(m.net->graph.auxiliaries, 1);
    close_model(&m);
}

static void test_model__parameters_lie_in_the_order_of_backward(void) {
    struct model m;
    open_text(&m, MODEL_RESIDUAL);
    size_t offset = NET_METRICS;
    int layer = net_layer_count(m.net);
    for (int p = 0; p < net_parameter_count(m.net); p++) {
        const struct parameter *parameter = net_parameter(m.net, p);
        CU_ASSERT_EQUAL(parameter->offset, offset);
        CU_ASSERT_EQUAL(parameter->packed % 16, 0);
        CU_ASSERT_TRUE(parameter->layer <= layer);
        layer = parameter->layer;
        offset += parameter->packed;
    }
    CU_ASSERT_EQUAL(offset, net_vector_size(m.net));
    close_model(&m);
}

static void test_model__resnet50_is_torchvisions(void) {
    struct model m;
    open_file(&m, "configs/models/resnet50.yaml");
    static const char *const names[] = {"conv1.weight", "bn1.weight",
        "layer1.0.downsample.1.running_var", "layer4.2.bn3.bias", "fc.weight"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        CU_ASSERT_TRUE(has_parameter(m.net, names[i]));
    }
    CU_ASSERT_EQUAL(net_parameter_count(m.net), 267);
    struct layer_report last = net_layer_report(m.net, net_layer_count(m.net) - 1);
    CU_ASSERT_EQUAL(last.output.channels, 1000);
    int64_t multiply_adds = 0;
    for (int i = 0; i < net_layer_count(m.net); i++) {
        multiply_adds += net_layer_report(m.net, i).multiply_adds;
    }
    CU_ASSERT_EQUAL(multiply_adds, 4089184256);
    close_model(&m);
}

static void test_model__errors_name_layer_and_line(void) {
    static const struct {
        const char *layers, *message;
    } wrong[] = {
        {"  - conv: {out: 4, kernel: 9}\n", "model.yaml:3:5: layer conv1: "},
        {"  - relu:\n  - convv: {out: 4}\n", "conv"},
        {"  - conv: {out: 4, kernal: 9}\n", "model.yaml:3:20"},
        {"  - conv: {kernel: 1}\n", "\"out\" is missing"},
        {"  - conv: {out: 4, kernel: 1, groups: 2}\n",
            "layer conv1: 3 channels in and 4 out cannot be cut into 2 groups"},
        {"  - conv_transpose: {out: 4, output_pad: 1}\n",
            "model.yaml:3:5: layer conv_transpose1: height: output_pad 1 must be less than stride "
            "1"},
        {"  - conv_transpose: {out: 4, groups: 3}\n", "4 out cannot be cut into 3 groups"},
        {"  - conv_transpose: {out: 4, kernel: 3, pad: [1, 5]}\n",
            "an input of width 8 makes an output of width 0"},
        {"  - conv: {out: 2, kernel: 1, table: [[0]]}\n", "must be a list of 2 lists"},
        {"  - conv: {out: 1, kernel: 1, table: [[0, 3]]}\n", "model.yaml:3:43: layer conv1"},
        {"  - conv: {out: 1, kernel: 1, table: [[1, 1]]}\n", "each greater than the last"},
        {"  - conv: {out: 1, kernel: 1, table: [1]}\n", "row 0 of the table must be a list"},
        {"  - rbf:\n", "layer rbf1: it takes one pixel, not 8x8"},
        {"  - linear: {out: 83}\n  - rbf:\n", "layer rbf1: the digits are 10, of 84 inputs"},
        {"  - avgpool: {adaptive: [0, 3]}\n", "layer avgpool1: adaptive must be"},
        {"  - avgpool: {adaptive: 65536}\n",
            "model.yaml:3:5: layer avgpool1: its output of 3x65536x65536 is too large"},
        {"  - avgpool: {adaptive: [16384, 8192]}\n", "3x16384x8192 is too large"},
        {"  - avgpool: {adaptive: 2, kernel: 2}\n",
            "model.yaml:3:28: layer avgpool1: kernel has no meaning beside adaptive"},
        {"  - avgpool: {adaptive: 2, stride: 1}\n", "stride has no meaning beside adaptive"},
        {"  - avgpool: {adaptive: 2, pad: 1}\n", "pad has no meaning beside adaptive"},
        {"  - avgpool: {adaptive: 2, ceil: true}\n", "ceil has no meaning beside adaptive"},
        {"  - avgpool: {adaptive: 2, global: true}\n", "global has no meaning beside adaptive"},
        {"  - avgpool: {adaptive: 2, count_pad: false}\n", "count_pad has no meaning beside"},
        {"  - avgpool: {global: true, kernel: 2}\n",
            "model.yaml:3:29: layer avgpool1: kernel has no meaning beside global"},
        {"  - avgpool: {global: true, stride: 2}\n", "stride has no meaning beside global"},
        {"  - avgpool: {global: true, pad: 1}\n", "pad has no meaning beside global"},
        {"  - avgpool: {global: true, ceil: true}\n", "ceil has no meaning beside global"},
        {"  - avgpool: {global: true, count_pad: true}\n", "count_pad has no meaning beside"},
        {"  - maxpool: {kernel: 3, adaptive: 4}\n", "kernel has no meaning beside adaptive"},
        {"  - maxpool: {stride: 2, adaptive: 4}\n", "stride has no meaning beside adaptive"},
        {"  - maxpool: {pad: 1, adaptive: 4}\n", "pad has no meaning beside adaptive"},
        {"  - maxpool: {ceil: true, adaptive: 4}\n", "ceil has no meaning beside adaptive"},
        {"  - conv_transpose: {out: 1, kernel: 1, stride: 255}\n  - conv_transpose: {out: 1, "
         "kernel: 1, stride: 6}\n  - pad_channels: {out: 17}\n",
            "model.yaml:5:5: layer pad_channels1: its output of 17x10711x10711 is too large"},
        {"  - pad_channels: {out: 2}\n", "layer pad_channels1: 3 channels cannot be padded to 2"},
        {"  - rrelu: {lower: 0.5, upper: 0.4}\n", "layer rrelu1: lower 0.5 is more than"},
        {"  - maxpool: {kernel: 3, pad: 2}\n", "layer maxpool1: pad 2 is more than half"},
        {"  - maxpool: {kernel: [1, 9]}\n", "layer maxpool1: a kernel of 9 columns does not fit"},
        {"  - maxpool: {adaptive: [4, 9]}\n",
            "layer maxpool1: adaptive: 4x9 outputs of 8x8 inputs"},
        {"  - maxpool: {adaptive: [0, 3]}\n", "layer maxpool1: adaptive must be"},
        {"  - maxpool: {kernel: 20, pad: 10}\n", "more than 256 elements"},
        {"  - residual: {body: [{conv: {out: 5, kernel: 1}}]}\n",
            "model.yaml:3:5: layer residual1.add: 5x8x8 and 3x8x8 cannot be added"},
        {"  - residual: {shortcut: [{relu: {}}]}\n", "\"body\" has no layers"},
        {"  - branches: [[{maxpool: {kernel: 2}}], []]\n",
            "layer branches1.concat: branch 1 ends in 8x8 pixels, branch 0 in 4x4"},
        {"  - branches: []\n", "1 to 16 lists"},
        {"  - branches: [{relu: {}}]\n", "a list of layers must stand here"},
        {"  - relu: {name: a}\n  - tanh: {name: a}\n",
            "model.yaml:4:5: two layers are called a; the other stands at model.yaml:3:5"},
        {"  - auxiliary: {layers: [{auxiliary: {layers: [{relu: {}}]}}]}\n",
            "a head cannot hang on another"},
        {"  - dropout: 1.5\n", "model.yaml:3:5"},
        {"  []\n", "the network has no layers"},
        {"  relu\n", "a list of layers must stand here"},
        {"  - repeat: {times: 900, layers: [{repeat: {times: 900, layers: [{relu: {}}]}}]}\n",
            "more than 20000 layers"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char text[1024];
        snprintf(text, sizeof text, INPUT "%s", wrong[i].layers);
        TEST_ASSERT_FAILS(net_case_try(text, &planned), wrong[i].message);
    }
    TEST_ASSERT_FAILS(net_case_try("layers: [{relu: {}}]\n", &planned), "input");
    TEST_ASSERT_FAILS(
        net_case_try(
            "input: {channels: 65536, height: 65536, width: 65536}\nlayers: [{relu: {}}]\n",
            &planned),
        "too large");
}

static void test_model__refuses_leaves_too_small_for_batch_norm(void) {
    struct net_options options = planned;
    const char *text = INPUT "  - avgpool: {global: true}\n  - batchnorm:\n";
    options.smallest_leaf = 1;
    TEST_ASSERT_FAILS(net_case_try(text, &options), "train.last_batch: drop");
    TEST_ASSERT_FAILS(net_case_try(text, &options), "model.yaml:4:5: layer batchnorm1");
    options.smallest_leaf = 2;
    CU_ASSERT_EQUAL(net_case_try(text, &options), STATUS_OK);
    options.smallest_leaf = 1;
    CU_ASSERT_EQUAL(net_case_try(INPUT "  - batchnorm:\n", &options), STATUS_OK);
}

static void test_model__refuses_a_loss_that_does_not_fit(void) {
    struct net_options options = planned;
    const struct choice loss = {.kind = losses[0], .values = &(double){0}};
    options.loss = &loss;
    TEST_ASSERT_FAILS(net_case_try(INPUT "  - relu:\n", &options), "model.yaml:3:5: layer relu1");
    CU_ASSERT_EQUAL(net_case_try(INPUT "  - linear: {out: 2}\n", &options), STATUS_OK);
}

TEST_MAIN("model", TEST(test_model__names_layers_by_kind_and_place),
    TEST(test_model__blocks_have_the_names_of_torchvision),
    TEST(test_model__parameters_lie_in_the_order_of_backward),
    TEST(test_model__resnet50_is_torchvisions), TEST(test_model__errors_name_layer_and_line),
    TEST(test_model__refuses_leaves_too_small_for_batch_norm),
    TEST(test_model__refuses_a_loss_that_does_not_fit))
