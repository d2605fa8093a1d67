#include "base/document.h"
#include "io/yaml.h"
#include "support/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct document document;

static status parse(struct node **root, const char *text) {
    document_release(&document);
    document_init(&document);
    return yaml_parse(&document, root, text, strlen(text), "r.yaml");
}

static const struct node *parsed(const char *text) {
    struct node *root = NULL;
    status result = parse(&root, text);
    CU_ASSERT_EQUAL_FATAL(result, STATUS_OK);
    document.root = root;
    return root;
}

/* Asserts that `text` is refused with STATUS_USAGE and exactly this message. */
static void refused(const char *text, const char *message) {
    struct node *root = &(struct node){0};
    CU_ASSERT_EQUAL(parse(&root, text), STATUS_USAGE);
    CU_ASSERT_PTR_NULL(root);
    CU_ASSERT_STRING_EQUAL(status_message(), message);
    if (strcmp(status_message(), message) != 0) {
        printf("\n  message is:  %s\n  expected is: %s\n", status_message(), message);
    }
}

static void is_scalar(const struct node *node, const char *text, int line, int column) {
    CU_ASSERT_PTR_NOT_NULL_FATAL(node);
    CU_ASSERT_EQUAL_FATAL(node->kind, NODE_SCALAR);
    CU_ASSERT_STRING_EQUAL(node->text, text);
    CU_ASSERT_EQUAL(node->line, line);
    CU_ASSERT_EQUAL(node->column, column);
}

static void test_yaml__builds_the_tree_with_places(void) {
    const struct node *root = parsed("# a recipe\n"
                                     "model: lenet.yaml\n"
                                     "train:\n"
                                     "  batch: 256 # pictures\n"
                                     "  sizes: [1, '2', \"x y\"]\n"
                                     "layers:\n"
                                     "  - conv: {out: 64}\n"
                                     "  - relu:\n"
                                     "  - ~\n");
    CU_ASSERT_EQUAL(root->kind, NODE_MAPPING);
    CU_ASSERT_EQUAL(node_count(root), 3);
    CU_ASSERT_STRING_EQUAL(root->file, "r.yaml");
    is_scalar(node_get(root, "model"), "lenet.yaml", 2, 1);
    const struct node *train = node_get(root, "train");
    is_scalar(node_get(train, "batch"), "256", 4, 3);
    CU_ASSERT_FALSE(node_get(train, "batch")->quoted);
    const struct node *size = node_get(train, "sizes")->child;
    is_scalar(size, "1", 5, 11);
    CU_ASSERT_PTR_NULL(size->key);
    is_scalar(size->next, "2", 5, 14);
    CU_ASSERT_TRUE(size->next->quoted);
    is_scalar(size->next->next, "x y", 5, 19);
    const struct node *layer = node_get(root, "layers")->child;
    is_scalar(node_get(node_get(layer, "conv"), "out"), "64", 7, 12);
    CU_ASSERT_EQUAL(node_get(layer->next, "relu")->kind, NODE_NULL);
    CU_ASSERT_EQUAL(layer->next->next->kind, NODE_NULL);
    CU_ASSERT_PTR_NULL(layer->next->next->next);
}

static void test_yaml__reads_an_empty_file_as_null(void) {
    CU_ASSERT_EQUAL(parsed("")->kind, NODE_NULL);
    CU_ASSERT_EQUAL(parsed("# only words\n")->kind, NODE_NULL);
    CU_ASSERT_EQUAL(parsed("---\n")->kind, NODE_NULL);
    CU_ASSERT_EQUAL(parsed("'null'")->kind, NODE_SCALAR);
}

static void test_yaml__copies_aliases(void) {
    const struct node *root = parsed("a: &x {b: 1}\nc: *x\nd: [*x, *x]\ne: &x 5\nf: *x\n");
    is_scalar(node_get(node_get(root, "c"), "b"), "1", 1, 8);
    CU_ASSERT_EQUAL(node_get(root, "c")->line, 2);
    CU_ASSERT_NOT_EQUAL(node_get(root, "c"), node_get(root, "a"));
    CU_ASSERT_EQUAL(node_count(node_get(root, "d")), 2);
    CU_ASSERT_PTR_NULL(node_get(root, "d")->child->key);
    is_scalar(node_get(root, "f"), "5", 5, 1);
    refused("a: *y\n", "r.yaml:1:4: the alias *y has no finished anchor &y above it");
    refused("a: &y [*y]\n", "r.yaml:1:8: the alias *y has no finished anchor &y above it");
}

static void test_yaml__refuses_what_is_not_yaml(void) {
    struct node *root;
    refused("a: [1, 2\n",
        "r.yaml:2:1: not YAML: did not find expected ',' or ']' while parsing a flow sequence");
    TEST_ASSERT_FAILS(parse(&root, "a: b: c\n"), "r.yaml:1:5: not YAML: ");
    TEST_ASSERT_FAILS(parse(&root, "a:\n\t- b\n"), "r.yaml:2:1: not YAML: ");
    TEST_ASSERT_FAILS(parse(&root, "ok: 1\nbad: \xff\n"), "r.yaml:2:6: not YAML: ");
    TEST_ASSERT_FAILS(parse(&root, "\x89PNG\r\n"), "r.yaml:1:1: not YAML: ");
}

static void test_yaml__refuses_what_convoy_does_not_use(void) {
    refused("a: 1\nb: 2\na: 3\n", "r.yaml:3:1: the key 'a' is given twice; first in line 1");
    refused("x: {k: 1, 'k': 2}\n", "r.yaml:1:11: the key 'k' is given twice; first in line 1");
    refused("a: !!str b\n", "r.yaml:1:4: the tag tag:yaml.org,2002:str is not supported");
    refused("a: !x [1]\n", "r.yaml:1:4: the tag !x is not supported");
    refused("a: !x {b: 1}\n", "r.yaml:1:4: the tag !x is not supported");
    refused("? [a, b]\n: c\n", "r.yaml:1:3: a key must be a plain name");
    refused("!!str a: b\n", "r.yaml:1:1: a key takes no tag and no anchor");
    refused("a: {'': b}\n", "r.yaml:1:5: an empty key");
    refused("~: b\n", "r.yaml:1:1: an empty key");
    refused("a: {<<: b}\n", "r.yaml:1:5: merging by '<<' is not supported");
    refused("a: 1\n---\nb: 2\n", "r.yaml:2:1: a second document in the file");
    refused("a: \"x\\0y\"\n", "r.yaml:1:4: a zero byte in a text");
}

static void test_yaml__bounds_depth(void) {
    char text[2 * YAML_DEPTH + 8] = "";
    memset(text, '[', YAML_DEPTH);
    memset(text + YAML_DEPTH, ']', YAML_DEPTH);
    struct node *root;
    CU_ASSERT_EQUAL(parse(&root, text), STATUS_OK);
    memset(text, '[', YAML_DEPTH + 1);
    refused(text, "r.yaml:1:65: nested deeper than 64 levels");
    /* ... also where an alias carries the depth. */
    char deep[512];
    snprintf(deep, sizeof deep, "a: &x %.*s1%.*s\nb: %.*s*x%.*s\n", 40,
        "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", 40, "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
        22, "[[[[[[[[[[[[[[[[[[[[[[", 22, "]]]]]]]]]]]]]]]]]]]]]]");
    CU_ASSERT_EQUAL(parse(&root, deep), STATUS_OK);
    snprintf(deep, sizeof deep, "a: &x %.*s1%.*s\nb: %.*s*x%.*s\n", 40,
        "[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[", 40, "]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
        23, "[[[[[[[[[[[[[[[[[[[[[[[", 23, "]]]]]]]]]]]]]]]]]]]]]]]");
    refused(deep, "r.yaml:2:27: nested deeper than 64 levels");
}

static void test_yaml__bounds_a_billion_laughs(void) {
    char text[2048] = "- &a [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n";
    for (char name = 'a'; name < 'i'; name++) {
        size_t used = strlen(text);
        used += (size_t)snprintf(text + used, sizeof text - used, "- &%c [", name + 1);
        for (int i = 0; i < 10; i++) {
            used +=
                (size_t)snprintf(text + used, sizeof text - used, "%s*%c", i > 0 ? ", " : "", name);
        }
        snprintf(text + used, sizeof text - used, "]\n");
    }
    struct node *root;
    TEST_ASSERT_FAILS(parse(&root, text), "more than 262144 values, aliases written out");
}

/* A list of `entries` values, once more by its alias or not. */
static status parse_list(int entries, bool again) {
    size_t size = 2 * (size_t)entries + 32;
    char *text = malloc(size);
    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    size_t used = (size_t)snprintf(text, size, "- &a [");
    for (int i = 0; i < entries; i++, used += 2) {
        memcpy(text + used, "a,", 2);
    }
    snprintf(text + used, size - used, "]\n%s", again ? "- *a\n" : "");
    struct node *root;
    status result = parse(&root, text);
    free(text);
    return result;
}

static void test_yaml__bounds_values_and_anchors(void) {
    CU_ASSERT_EQUAL(parse_list(YAML_NODES - 2, false), STATUS_OK);
    TEST_ASSERT_FAILS(parse_list(YAML_NODES - 1, false), "more than 262144 values");
    CU_ASSERT_EQUAL(parse_list(YAML_NODES / 2 - 2, true), STATUS_OK);
    TEST_ASSERT_FAILS(parse_list(YAML_NODES / 2, true), "r.yaml:2:3: more than 262144 values");
    char anchors[(YAML_ANCHORS + 1) * 12] = "";
    for (int i = 0, used = 0; i <= YAML_ANCHORS; i++) {
        used += snprintf(anchors + used, sizeof anchors - (size_t)used, "- &a%d 1\n", i);
    }
    refused(anchors, "r.yaml:257:3: more than 256 anchors");
}

static void test_yaml__finds_duplicates_among_many_keys(void) {
    size_t size = 20 * 20000;
    char *text = malloc(size);
    CU_ASSERT_PTR_NOT_NULL_FATAL(text);
    size_t used = 0;
    for (int i = 0; i < 20000; i++) {
        used += (size_t)snprintf(text + used, size - used, "k%d: 1\n", i * 7919 % 20000);
    }
    struct node *root;
    CU_ASSERT_EQUAL(parse(&root, text), STATUS_OK);
    snprintf(text + used, size - used, "k5: 1\n");
    TEST_ASSERT_FAILS(parse(&root, text), "r.yaml:20001:1: the key 'k5' is given twice");
    free(text);
}

static void test_yaml__loads_files(void) {
    char path[256];
    snprintf(path, sizeof path, "%s/recipe.yaml", test_folder());
    FILE *out = fopen(path, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(out);
    fputs("a: 1\na: 2\n", out);
    fclose(out);
    document_release(&document);
    document_init(&document);
    struct node *root;
    CU_ASSERT_EQUAL(yaml_load(&document, &root, path), STATUS_USAGE);
    CU_ASSERT_PTR_EQUAL(strstr(status_message(), path), status_message());
    CU_ASSERT_EQUAL(strncmp(status_message() + strlen(path), ":2:1: ", 6), 0);
    CU_ASSERT_EQUAL(yaml_load(&document, &root, test_folder()), STATUS_USAGE);
    snprintf(path, sizeof path, "%s/none.yaml", test_folder());
    CU_ASSERT_EQUAL(yaml_load(&document, &root, path), STATUS_NOT_FOUND);
    out = fopen(path, "w");
    CU_ASSERT_PTR_NOT_NULL_FATAL(out);
    fclose(out);
    CU_ASSERT_EQUAL(truncate(path, (off_t)YAML_FILE_LIMIT + 1), 0);
    TEST_ASSERT_FAILS(yaml_load(&document, &root, path), "more than the limit of 16777216");
}

static void test_yaml__overrides_by_path(void) {
    parsed("train: {batch: 1, sizes: [1, 2]}\n");
    CU_ASSERT_EQUAL(yaml_override(&document, "train.batch=512"), STATUS_OK);
    CU_ASSERT_EQUAL(yaml_override(&document, "train.optimizer={sgd: {momentum: 0.5}}"), STATUS_OK);
    CU_ASSERT_EQUAL(yaml_override(&document, "train.sizes.1=[3, 4]"), STATUS_OK);
    CU_ASSERT_EQUAL(yaml_override(&document, "new.key="), STATUS_OK);
    const struct node *train = node_get(document.root, "train");
    is_scalar(node_get(train, "batch"), "512", 1, 13);
    CU_ASSERT_STRING_EQUAL(node_get(train, "batch")->file, "command line");
    is_scalar(node_get(node_get(node_get(train, "optimizer"), "sgd"), "momentum"), "0.5", 1, 24);
    CU_ASSERT_EQUAL(node_count(node_get(train, "sizes")->child->next), 2);
    CU_ASSERT_EQUAL(node_get(node_get(document.root, "new"), "key")->kind, NODE_NULL);
    TEST_ASSERT_FAILS(yaml_override(&document, "train.batch"),
        "command line: 'train.batch' is not of the form key=value");
    TEST_ASSERT_FAILS(yaml_override(&document, "=5"), "is not of the form key=value");
    TEST_ASSERT_FAILS(yaml_override(&document, "train.batch=[1"), "command line:1:15: not YAML: ");
    CU_ASSERT_EQUAL(yaml_override(&document, "train.batch.x=1"), STATUS_USAGE);
    CU_ASSERT_EQUAL(yaml_override(&document, "train.sizes.7=1"), STATUS_USAGE);
}

static void test_yaml__relative_paths_start_at_the_including_file(void) {
    const char *path;
    parsed("");
    static const char *const cases[][3] = {
        {"models/a.yaml", "configs/r.yaml", "configs/models/a.yaml"},
        {"a.yaml", "r.yaml", "a.yaml"},
        {"/x/a.yaml", "configs/r.yaml", "/x/a.yaml"},
        {"a.yaml", "/r.yaml", "/a.yaml"},
        {"a.yaml", "command line", "a.yaml"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        CU_ASSERT_EQUAL(yaml_relative_path(&document, &path, cases[i][0], cases[i][1]), STATUS_OK);
        CU_ASSERT_STRING_EQUAL(path, cases[i][2]);
    }
    document_release(&document);
}

TEST_MAIN("yaml", TEST(test_yaml__builds_the_tree_with_places),
    TEST(test_yaml__reads_an_empty_file_as_null), TEST(test_yaml__copies_aliases),
    TEST(test_yaml__refuses_what_is_not_yaml), TEST(test_yaml__refuses_what_convoy_does_not_use),
    TEST(test_yaml__bounds_depth), TEST(test_yaml__bounds_a_billion_laughs),
    TEST(test_yaml__bounds_values_and_anchors), TEST(test_yaml__finds_duplicates_among_many_keys),
    TEST(test_yaml__loads_files), TEST(test_yaml__overrides_by_path),
    TEST(test_yaml__relative_paths_start_at_the_including_file))
