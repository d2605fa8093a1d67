/* The networks of configs/models: each has the parameters that its paper, or the paper's usual
 * counting, gives it; those for small pictures are counted by hand from their files. */
#include "io/yaml.h"
#include "support/support.h"
#include "worker/net_internal.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    int64_t parameters; /* without auxiliary heads */
    int64_t heads;      /* of the auxiliary heads */
} models[] = {
    {"lenet5", 61706, 0},
    {"lenet5-1998", 60000, 0},
    {"alexnet", 60965224, 0},
    {"alexnet-torchvision", 61100840, 0},
    {"zfnet", 62357608, 0},
    {"vgg11", 132863336, 0},
    {"vgg13", 133047848, 0},
    {"vgg16-1x1", 133638952, 0},
    {"vgg16", 138357544, 0},
    {"vgg19", 143667240, 0},
    {"googlenet", 6998552, 6379728},
    {"googlenet-torchvision", 6624904, 6379984},
    {"inception-bn", 11194984, 0},
    {"inception-v3", 23834568, 3326696},
    {"resnet18", 11689512, 0},
    {"resnet34", 21797672, 0},
    {"resnet50", 25557032, 0},
    {"resnet101", 44549160, 0},
    {"resnet152", 60192808, 0},
    {"resnet20", 269722, 0},
    {"resnet32", 464154, 0},
    {"resnet56", 853018, 0},
    {"resnet110", 1727962, 0},
    {"alexnet-small", 5871434, 0},
    {"vgg11-small", 9228362, 0},
    {"googlenet-small", 5871914, 0},
    {"resnet18-small", 11173962, 0},
};
#define MODELS (int)(sizeof models / sizeof models[0])

struct model {
    struct document document;
    struct net *net;
};

static void open_model(struct model *model, const char *name) {
    static const struct net_options options = {
        .pictures = 2, .leaves = 1, .leaf = 2, .threads = 1, .training = true, .plan_only = true};
    char path[256];
    struct node *root;
    document_init(&model->document);
    snprintf(path, sizeof path, "configs/models/%s.yaml", name);
    CU_ASSERT_EQUAL_FATAL(yaml_load(&model->document, &root, path), STATUS_OK);
    CU_ASSERT_EQUAL_FATAL(net_create(&model->net, root, &options), STATUS_OK);
}

static void close_model(struct model *model) {
    net_destroy(model->net);
    document_release(&model->document);
}

static void count(int64_t *parameters, int64_t *heads, const char *name) {
    struct model model;
    open_model(&model, name);
    *parameters = *heads = 0;
    for (int i = 0; i < net_layer_count(model.net); i++) {
        int64_t own = net_layer_report(model.net, i).parameters;
        *(model.net->graph.layer[i]->training_only ? heads : parameters) += own;
    }
    close_model(&model);
}

static void test_models__have_the_parameters_of_their_papers(void) {
    for (int i = 0; i < MODELS; i++) {
        int64_t parameters, heads;
        count(&parameters, &heads, models[i].name);
        if (parameters != models[i].parameters || heads != models[i].heads) {
            printf("    %s: %lld and %lld in heads, not %lld and %lld\n", models[i].name,
                (long long)parameters, (long long)heads, (long long)models[i].parameters,
                (long long)models[i].heads);
            CU_FAIL("a network has other parameters");
        }
    }
}

/* Parameters of the layers whose names begin with `prefix`. */
static int64_t of_layer(const struct net *net, const char *prefix) {
    int64_t sum = 0;
    for (int i = 0; i < net_layer_count(net); i++) {
        struct layer_report report = net_layer_report(net, i);
        sum += strncmp(report.name, prefix, strlen(prefix)) == 0 ? report.parameters : 0;
    }
    return sum;
}

static void test_models__lenet5_is_the_papers_layer_by_layer(void) {
    static const struct {
        const char *layer;
        int64_t parameters;
    } layers_of[] = {
        {"c1", 156}, {"s2", 12}, {"c3", 1516}, {"s4", 32}, {"c5", 48120}, {"f6", 10164}};
    struct model model;
    open_model(&model, "lenet5-1998");
    for (size_t i = 0; i < sizeof layers_of / sizeof layers_of[0]; i++) {
        CU_ASSERT_EQUAL(of_layer(model.net, layers_of[i].layer), layers_of[i].parameters);
    }
    close_model(&model);
}

static void test_models__are_all_counted(void) {
    DIR *folder = opendir("configs/models");
    CU_ASSERT_PTR_NOT_NULL_FATAL(folder);
    int files = 0;
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        files += strstr(entry->d_name, ".yaml") != NULL;
    }
    closedir(folder);
    CU_ASSERT_EQUAL(files, MODELS);
}

TEST_MAIN("models", TEST(test_models__have_the_parameters_of_their_papers),
    TEST(test_models__lenet5_is_the_papers_layer_by_layer), TEST(test_models__are_all_counted))
