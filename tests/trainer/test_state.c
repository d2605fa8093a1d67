#include "io/yaml.h"
#include "support/support.h"
#include "trainer/recipe.h"
#include "trainer/state.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MODEL(CONV)                                                                                \
    "model:\n"                                                                                     \
    "  input: {channels: 3, height: 6, width: 6}\n"                                                \
    "  layers:\n"                                                                                  \
    "    - conv: {name: first, out: " CONV ", kernel: 3, bias: false}\n"                           \
    "    - batchnorm: {name: norm}\n"                                                              \
    "    - linear: {name: head, out: 4}\n"                                                         \
    "train: {batch: 8, leaf: 2, schedule: {constant: {rate: 1}}, optimizer: {sgd: {momentum: "     \
    "0.9}}}\n"

/* A recipe, its net and its optimizer. */
struct bench {
    struct recipe recipe;
    struct net *net;
    struct optimizer *optimizer;
    char *canonical;
    struct dataset_information data;
    struct state_description description;
};

static void open_bench(struct bench *bench, const char *text, uint64_t seed) {
    static char *names[] = {"cat", "dog", "\xc3\xa9l\xc3\xa9phant", "ox"};
    *bench = (struct bench){0};
    CU_ASSERT_EQUAL_FATAL(recipe_parse(&bench->recipe, text, strlen(text), "recipe"), STATUS_OK);
    const struct net_options plan = {
        .pictures = 2, .leaves = 1, .leaf = 2, .threads = 1, .training = true};
    CU_ASSERT_EQUAL_FATAL(net_create(&bench->net, bench->recipe.model, &plan), STATUS_OK);
    net_initialise(bench->net, seed);
    const struct optimizer_options update = {
        .choice = &bench->recipe.train.optimizer, .threads = 1};
    CU_ASSERT_EQUAL_FATAL(optimizer_create(&bench->optimizer, bench->net, &update), STATUS_OK);
    CU_ASSERT_EQUAL_FATAL(recipe_canonical(&bench->canonical, &bench->recipe), STATUS_OK);
    bench->data = (struct dataset_information){
        .classes = 4, .class_names = names, .shape = {3, 6, 6}, .digest = "0123456789abcdef"};
    bench->description = (struct state_description){
        .recipe = bench->canonical, .seed = 1, .best_metric = "accuracy", .data = &bench->data};
}

static void close_bench(struct bench *bench) {
    optimizer_destroy(bench->optimizer);
    net_destroy(bench->net);
    recipe_release(&bench->recipe);
    free(bench->canonical);
}

/* Numbers in every element of a packed vector that is no padding. */
static void fill_vector(float *vector, const struct net *net, float start) {
    float standard[4096];
    for (int i = 0; i < net_parameter_count(net); i++) {
        const struct parameter *parameter = net_parameter(net, i);
        CU_ASSERT_TRUE_FATAL(parameter->elements <= 4096);
        for (int64_t e = 0; e < parameter->elements; e++) {
            standard[e] = start + (float)e;
        }
        parameter_pack(vector, standard, parameter);
    }
}

static const char *path_in(const char *folder, const char *name) {
    static char path[512];
    snprintf(path, sizeof path, "%s/%s.safetensors", folder, name);
    return path;
}

static void save(struct bench *bench, const struct state *state, const char *path) {
    CU_ASSERT_EQUAL_FATAL(state_save(path, state, &bench->description,
                              &(struct state_parts){bench->net, bench->optimizer, NULL}),
        STATUS_OK);
}

static void test_state__comes_back_whole(void) {
    struct bench one, two;
    open_bench(&one, MODEL("5"), 1);
    open_bench(&two, MODEL("5"), 2);
    fill_vector(optimizer_vector(one.optimizer, 0), one.net, 0.5f);
    struct state state, found;
    state_init(&state, 100, 7);
    state.step = 17;
    state.validated = 14;
    state.best_step = 14;
    state.best_value = 0.1;
    state.since_best = 2;
    state.schedule.number[1] = 1.0 / 3;
    const char *path = path_in(test_folder(), "a");
    save(&one, &state, path);

    struct safetensors_file *file;
    CU_ASSERT_EQUAL_FATAL(safetensors_open(&file, path), STATUS_OK);
    CU_ASSERT_EQUAL(state_check(file, path, &two.description), STATUS_OK);
    CU_ASSERT_EQUAL_FATAL(
        state_load(&found, &(struct state_parts){two.net, two.optimizer, NULL}, file, path),
        STATUS_OK);
    CU_ASSERT_EQUAL(found.step, 17);
    CU_ASSERT_EQUAL(found.steps, 100);
    CU_ASSERT_EQUAL(found.steps_per_epoch, 7);
    CU_ASSERT_EQUAL(found.validated, 14);
    CU_ASSERT_EQUAL(found.best_step, 14);
    CU_ASSERT_EQUAL(found.best_value, 0.1);
    CU_ASSERT_EQUAL(found.since_best, 2);
    CU_ASSERT_EQUAL(found.schedule.number[1], 1.0 / 3);
    CU_ASSERT_STRING_EQUAL(safetensors_metadata(file, "epoch"), "2");
    size_t bytes = net_vector_size(one.net) * sizeof(float);
    CU_ASSERT_EQUAL(memcmp(net_weights(one.net), net_weights(two.net), bytes), 0);
    /* Of a statistic the optimizer's vector means nothing and is not kept. */
    for (int i = 0; i < net_parameter_count(one.net); i++) {
        const struct parameter *parameter = net_parameter(one.net, i);
        const float *a = optimizer_vector(one.optimizer, 0) + parameter->offset;
        const float *b = optimizer_vector(two.optimizer, 0) + parameter->offset;
        bool same = memcmp(a, b, parameter->packed * sizeof(float)) == 0;
        CU_ASSERT_EQUAL(same, parameter->kind != PARAMETER_STATISTIC);
    }
    char **names;
    int count;
    CU_ASSERT_EQUAL(state_class_names(&names, &count, file, path), STATUS_OK);
    CU_ASSERT_EQUAL(count, 4);
    CU_ASSERT_STRING_EQUAL(names[2], "\xc3\xa9l\xc3\xa9phant");
    state_release_class_names(names, count);
    safetensors_close(file);

    /* Saved again, the same bytes. */
    void *bytes_one, *bytes_two;
    size_t size_one, size_two;
    char first[512];
    snprintf(first, sizeof first, "%s", path);
    const char *second = path_in(test_folder(), "b");
    save(&two, &found, second);
    CU_ASSERT_EQUAL_FATAL(file_read(&bytes_one, &size_one, first, 1 << 20), STATUS_OK);
    CU_ASSERT_EQUAL_FATAL(file_read(&bytes_two, &size_two, second, 1 << 20), STATUS_OK);
    CU_ASSERT_EQUAL_FATAL(size_one, size_two);
    CU_ASSERT_EQUAL(memcmp(bytes_one, bytes_two, size_one), 0);
    free(bytes_one);
    free(bytes_two);
    close_bench(&one);
    close_bench(&two);
}

static void test_state__tensors_have_their_usual_names_in_the_order_of_layers(void) {
    static const char *const names[] = {"first.weight", "norm.weight", "norm.bias",
        "norm.running_mean", "norm.running_var", "head.weight", "head.bias",
        "optimizer.momentum.first.weight"};
    struct bench bench;
    open_bench(&bench, MODEL("5"), 1);
    struct state state;
    state_init(&state, 100, 7);
    const char *path = path_in(test_folder(), "a");
    save(&bench, &state, path);
    struct safetensors_file *file;
    CU_ASSERT_EQUAL_FATAL(safetensors_open(&file, path), STATUS_OK);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        for (size_t j = 0; j < i; j++) {
            bool same_layer = strncmp(names[i], names[j], 4) == 0;
            int here = safetensors_find(file, names[i]), before = safetensors_find(file, names[j]);
            CU_ASSERT_TRUE(before >= 0 && here >= 0);
            CU_ASSERT_TRUE(same_layer || before < here);
        }
    }
    const struct safetensors_entry *entry = safetensors_at(file, safetensors_find(file, names[0]));
    CU_ASSERT_EQUAL(entry->dimensions, 4);
    CU_ASSERT_EQUAL(entry->dimension[0], 5);
    CU_ASSERT_EQUAL(entry->dimension[1], 3);
    CU_ASSERT_EQUAL(entry->dimension[2], 3);
    CU_ASSERT_EQUAL(safetensors_find(file, "optimizer.momentum.norm.running_mean"), -1);
    safetensors_close(file);
    close_bench(&bench);
}

static void test_state__refuses_what_is_of_another_network(void) {
    struct bench five, six;
    open_bench(&five, MODEL("5"), 1);
    open_bench(&six, MODEL("6"), 1);
    struct state state, found;
    state_init(&state, 100, 7);
    const char *path = path_in(test_folder(), "a");
    save(&five, &state, path);
    struct safetensors_file *file;
    CU_ASSERT_EQUAL_FATAL(safetensors_open(&file, path), STATUS_OK);
    TEST_ASSERT_FAILS(
        state_load(&found, &(struct state_parts){six.net, six.optimizer, NULL}, file, path),
        "layer");
    TEST_ASSERT_FAILS(state_check(file, path, &six.description), "model.layers.0.conv.out is 6");

    const char *const all[] = {"first", "norm", "head"}, *const wrong[] = {"frist"};
    const struct option_texts none = {0}, fresh = {3, all}, unknown = {1, wrong};
    TEST_ASSERT_FAILS(state_load_weights(six.net, file, path, false, &none), "from_new");
    TEST_ASSERT_FAILS(state_load_weights(six.net, file, path, false, &unknown), "frist");
    CU_ASSERT_EQUAL(state_load_weights(six.net, file, path, false, &fresh), STATUS_OK);
    safetensors_close(file);
    close_bench(&five);
    close_bench(&six);
}

static void test_state__refuses_other_data(void) {
    struct bench bench;
    open_bench(&bench, MODEL("5"), 1);
    struct state state;
    state_init(&state, 100, 7);
    const char *path = path_in(test_folder(), "a");
    save(&bench, &state, path);
    struct safetensors_file *file;
    CU_ASSERT_EQUAL_FATAL(safetensors_open(&file, path), STATUS_OK);
    bench.data.digest[3] = 'x';
    TEST_ASSERT_FAILS(state_check(file, path, &bench.description), "data.train");
    safetensors_close(file);
    close_bench(&bench);
}

static void test_state__never_saves_what_is_not_finite(void) {
    struct bench bench;
    open_bench(&bench, MODEL("5"), 1);
    struct state state;
    state_init(&state, 100, 7);
    const char *path = path_in(test_folder(), "a");
    net_weights(bench.net)[net_parameter(bench.net, 0)->offset] = NAN;
    TEST_ASSERT_FAILS(state_save(path, &state, &bench.description,
                          &(struct state_parts){bench.net, bench.optimizer, NULL}),
        "finite");
    CU_ASSERT_FALSE(file_exists(path));
    close_bench(&bench);
}

TEST_MAIN("state", TEST(test_state__comes_back_whole),
    TEST(test_state__tensors_have_their_usual_names_in_the_order_of_layers),
    TEST(test_state__refuses_what_is_of_another_network), TEST(test_state__refuses_other_data),
    TEST(test_state__never_saves_what_is_not_finite))
