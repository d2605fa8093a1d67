#include "support/support.h"
#include "trainer/recipe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MODEL                                                                                      \
    "input: {channels: 1, height: 8, width: 8}\n"                                                  \
    "layers:\n"                                                                                    \
    "  - linear: {out: 4}\n"
#define RECIPE                                                                                     \
    "model: m.yaml\n"                                                                              \
    "data:\n"                                                                                      \
    "  train: data/train\n"                                                                        \
    "  transforms: [{flip: {probability: 0.25}}]\n"                                                \
    "train:\n"                                                                                     \
    "  batch: 64\n"                                                                                \
    "  leaf: 8\n"                                                                                  \
    "  schedule: {constant: {rate: 0.5}}\n"

static const char *write_file(const char *folder, const char *name, const char *text) {
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(file);
    fputs(text, file);
    fclose(file);
    return path;
}

/* Loads RECIPE beside its model with overrides, NULL-terminated. */
static status load(struct recipe *recipe, const char *text, const char *const *overrides) {
    const char *folder = test_folder();
    write_file(folder, "m.yaml", MODEL);
    int count = 0;
    while (overrides != NULL && overrides[count] != NULL) {
        count++;
    }
    return recipe_load(recipe, write_file(folder, "r.yaml", text), overrides, count);
}

static char *canonical(const char *const *overrides) {
    struct recipe recipe;
    char *text = NULL;
    status result = load(&recipe, RECIPE, overrides);
    if (result != STATUS_OK) {
        printf("\n  %s\n", status_message());
    }
    CU_ASSERT_EQUAL_FATAL(result, STATUS_OK);
    CU_ASSERT_EQUAL_FATAL(recipe_canonical(&text, &recipe), STATUS_OK);
    recipe_release(&recipe);
    return text;
}

static void test_recipe__has_the_values_and_the_model(void) {
    struct recipe recipe;
    const char *const overrides[] = {
        "train.epochs=7", "engine=blas", "exchange.bucket=1 KiB", NULL};
    CU_ASSERT_EQUAL_FATAL(load(&recipe, RECIPE, overrides), STATUS_OK);
    CU_ASSERT_EQUAL(recipe.train.batch, 64);
    CU_ASSERT_EQUAL(recipe.train.epochs, 7);
    CU_ASSERT_EQUAL(recipe.engine.kernels, 1);
    CU_ASSERT_EQUAL(recipe.exchange.bucket, 1024);
    CU_ASSERT_EQUAL(recipe_leaves(&recipe), 8);
    CU_ASSERT_PTR_NOT_NULL(node_get(recipe.model, "layers"));
    CU_ASSERT_STRING_EQUAL(recipe.train.loss.kind->name, "cross_entropy");
    recipe_release(&recipe);
}

static void test_recipe__refuses_what_ranges_cannot_say(void) {
    struct recipe recipe;
    const char *const leaves[] = {"train.batch=24", NULL}, *const rest[] = {"train.batch=63", NULL};
    const char *const chunk[] = {"train.chunk=3", NULL}, *const stop[] = {
                                                             "train.stop.patience=2", NULL};
    const char *const fresh[] = {"train.from_new=[a]", NULL}, *const model[] = {
                                                                  "model=x.yaml", NULL};
    TEST_ASSERT_FAILS(load(&recipe, RECIPE, leaves), "take batch 16 or 32");
    TEST_ASSERT_FAILS(load(&recipe, RECIPE, rest), "train.leaf = 8");
    TEST_ASSERT_FAILS(load(&recipe, RECIPE, chunk), "power of two");
    TEST_ASSERT_FAILS(load(&recipe, RECIPE, stop), "data.validation");
    TEST_ASSERT_FAILS(load(&recipe, RECIPE, fresh), "train.from");
    TEST_ASSERT_FAILS(load(&recipe, RECIPE, model), "x.yaml");
}

static void test_recipe__canonical_text_holds_what_changes_bits_alone(void) {
    static const char *const same[] = {"train.epochs=9", "train.steps=5", "train.threads=2",
        "train.chunk=2", "exchange.bucket=1KiB", "data.loader_threads=3", "data.ahead=5",
        "data.train=elsewhere", "data.validation=there", "checkpoint.every_steps=3",
        "checkpoint.keep=1", "train.validate_every_steps=4", "train.from=x"};
    static const char *const other[] = {"train.batch=128", "train.leaf=16", "train.seed=2",
        "train.last_batch=drop", "data.shuffle=shard", "data.on_bad_record=skip", "engine=blas",
        "exchange.algorithm=ring", "exchange.algorithm=native", "exchange.wire=bf16",
        "train.local_steps=2", "train.schedule.constant.rate=0.25",
        "train.schedule.constant.warmup_steps=3", "train.optimizer={sgd: {momentum: 0.25}}",
        "data.transforms.0.flip.probability=0.5", "model.layers.0.linear.out=5",
        "train.loss={cross_entropy: {smoothing: 0.125}}"};
    char *plain = canonical(NULL);
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
        const char *const overrides[] = {same[i], NULL};
        char *text = canonical(overrides);
        CU_ASSERT_STRING_EQUAL(text, plain);
        free(text);
    }
    for (size_t i = 0; i < sizeof other / sizeof other[0]; i++) {
        const char *const overrides[] = {other[i], NULL};
        char *text = canonical(overrides);
        CU_ASSERT_STRING_NOT_EQUAL(text, plain);
        if (strcmp(text, plain) == 0) {
            printf("\n  without effect: %s\n", other[i]);
        }
        free(text);
    }
    free(plain);
}

static void test_recipe__canonical_text_reads_back_to_itself(void) {
    char *text = canonical(NULL), *again = NULL;
    struct recipe recipe;
    CU_ASSERT_EQUAL_FATAL(recipe_parse(&recipe, text, strlen(text), "checkpoint"), STATUS_OK);
    CU_ASSERT_EQUAL(recipe_canonical(&again, &recipe), STATUS_OK);
    CU_ASSERT_STRING_EQUAL(text, again);
    recipe_release(&recipe);
    free(text);
    free(again);
}

static void test_recipe__written_out_it_loads_again(void) {
    struct recipe recipe, again;
    char *text = NULL, *second = NULL;
    size_t size;
    CU_ASSERT_EQUAL_FATAL(load(&recipe, RECIPE, NULL), STATUS_OK);
    FILE *out = open_memstream(&text, &size);
    recipe_write(out, &recipe);
    fclose(out);
    CU_ASSERT_EQUAL_FATAL(load(&again, text, NULL), STATUS_OK);
    out = open_memstream(&second, &size);
    recipe_write(out, &again);
    fclose(out);
    CU_ASSERT_STRING_EQUAL(text, second);
    recipe_release(&recipe);
    recipe_release(&again);
    free(text);
    free(second);
}

static void test_recipe__comparing_names_key_and_both_values(void) {
    const char *const batch[] = {"train.batch=128", NULL};
    const char *const rate[] = {"train.schedule.constant.rate=0.25", NULL};
    const char *const layer[] = {"model.layers.0.linear.out=5", NULL};
    const char *const kind[] = {"train.schedule={step: {rate: 0.5, every_epochs: 3}}", NULL};
    char *plain = canonical(NULL), *text = canonical(batch);
    CU_ASSERT_EQUAL(recipe_compare(plain, plain, "that.safetensors"), STATUS_OK);
    TEST_ASSERT_FAILS(recipe_compare(text, plain, "that.safetensors"),
        "train.batch is 128 here and 64 in that.safetensors");
    free(text);
    text = canonical(rate);
    TEST_ASSERT_FAILS(
        recipe_compare(text, plain, "x"), "train.schedule.constant.rate is 0.25 here");
    free(text);
    text = canonical(layer);
    TEST_ASSERT_FAILS(
        recipe_compare(plain, text, "x"), "model.layers.0.linear.out is 4 here and 5");
    free(text);
    text = canonical(kind);
    TEST_ASSERT_FAILS(recipe_compare(plain, text, "x"), "train.schedule is");
    free(text);
    free(plain);
}

/* These are left out of the canonical text where they have their initial values, in the middle of
 * a mapping or at its end. */
static void test_recipe__comparing_knows_the_value_of_what_was_left_out(void) {
    static const struct {
        const char *change, *difference;
    } cases[] = {
        {"train.clip_norm=3", "train.clip_norm is 0 here and 3 in x"},
        {"train.local_steps=4", "train.local_steps is 1 here and 4 in x"},
        {"exchange.wire=bf16", "exchange.wire is float32 here and bf16 in x"},
        {"train.schedule.constant.reference_batch=32",
            "train.schedule.constant.reference_batch is 0 here and 32 in x"},
    };
    char *plain = canonical(NULL);
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        const char *const change[] = {cases[c].change, NULL};
        char *text = canonical(change);
        TEST_ASSERT_FAILS(recipe_compare(plain, text, "x"), cases[c].difference);
        free(text);
    }
    const char *const wire[] = {"exchange.wire=bf16", NULL};
    char *text = canonical(wire);
    TEST_ASSERT_FAILS(
        recipe_compare(text, plain, "x"), "exchange.wire is bf16 here and float32 in x");
    free(text);
    free(plain);
}

static void test_recipe__cadence_of_validation_counts_where_it_steers(void) {
    const char *const plateau = "train.schedule={plateau: {rate: 0.5}}";
    const char *const often[] = {plateau, "train.validate_every_steps=4", NULL};
    const char *const seldom[] = {plateau, NULL};
    char *a = canonical(often), *b = canonical(seldom);
    TEST_ASSERT_FAILS(recipe_compare(a, b, "x"), "cadence of validation");
    free(a);
    free(b);
}

TEST_MAIN("recipe", TEST(test_recipe__has_the_values_and_the_model),
    TEST(test_recipe__refuses_what_ranges_cannot_say),
    TEST(test_recipe__canonical_text_holds_what_changes_bits_alone),
    TEST(test_recipe__canonical_text_reads_back_to_itself),
    TEST(test_recipe__written_out_it_loads_again),
    TEST(test_recipe__comparing_names_key_and_both_values),
    TEST(test_recipe__comparing_knows_the_value_of_what_was_left_out),
    TEST(test_recipe__cadence_of_validation_counts_where_it_steers))
