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
    {"resnet20", 272474, 0},
    {"resnet32", 466906, 0},
    {"resnet56", 855770, 0},
    {"resnet110", 1730714, 0},
    {"alexnet-small", 5871434, 0},
    {"vgg11-small", 9228362, 0},
    {"googlenet-small", 5871914, 0},
    {"resnet18-small", 11173962, 0},
};
#define MODELS (int)(sizeof models / sizeof models[0])

static void count(int64_t *parameters, int64_t *heads, const char *name) {
    static const struct net_options options = {
        .pictures = 2, .leaves = 1, .leaf = 2, .threads = 1, .training = true, .plan_only = true};
    char path[256];
    struct document document;
    struct node *root;
    struct net *net;
    document_init(&document);
    snprintf(path, sizeof path, "configs/models/%s.yaml", name);
    CU_ASSERT_EQUAL_FATAL(yaml_load(&document, &root, path), STATUS_OK);
    CU_ASSERT_EQUAL_FATAL(net_create(&net, root, &options), STATUS_OK);
    *parameters = *heads = 0;
    for (int i = 0; i < net_layer_count(net); i++) {
        int64_t own = net_layer_report(net, i).parameters;
        *(net->graph.layer[i]->training_only ? heads : parameters) += own;
    }
    net_destroy(net);
    document_release(&document);
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
    TEST(test_models__are_all_counted))
