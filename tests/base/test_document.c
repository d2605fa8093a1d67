#include "base/document.h"
#include "support/support.h"

#include <stdlib.h>
#include <string.h>

static struct document document;

static struct node *make_scalar(const char *text) {
    struct node *node;
    CU_ASSERT_EQUAL_FATAL(pool_take(&document.pool, (void **)&node, 1, sizeof *node), STATUS_OK);
    *node = (struct node){.kind = NODE_SCALAR, .text = text, .file = "command line"};
    return node;
}

static struct node *make_list(int count, const char *const *texts) {
    struct node *list = make_scalar(NULL);
    list->kind = NODE_LIST;
    struct node **link = &list->child;
    for (int i = 0; i < count; i++, link = &(*link)->next) {
        *link = make_scalar(texts[i]);
    }
    return list;
}

/* The document as YAML, freed by free(). */
static char *written(const struct node *node, int indent) {
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    node_write(out, node, indent);
    fclose(out);
    return text;
}

static void assert_written(const char *expected) {
    char *text = written(document.root, 0);
    CU_ASSERT_STRING_EQUAL(text, expected);
    if (strcmp(text, expected) != 0) {
        printf("\n%s\n", text);
    }
    free(text);
}

static void test_document__set_makes_mappings_on_the_way(void) {
    document_init(&document);
    CU_ASSERT_EQUAL(document_set(&document, "train.batch", make_scalar("64")), STATUS_OK);
    CU_ASSERT_EQUAL(document_set(&document, "train.leaf", make_scalar("8")), STATUS_OK);
    CU_ASSERT_EQUAL(document_set(&document, "model", make_scalar("a.yaml")), STATUS_OK);
    assert_written("train:\n  batch: 64\n  leaf: 8\nmodel: a.yaml\n");
    const struct node *train = node_get(document.root, "train");
    CU_ASSERT_PTR_NOT_NULL_FATAL(train);
    CU_ASSERT_EQUAL(node_count(train), 2);
    CU_ASSERT_STRING_EQUAL(node_get(train, "leaf")->text, "8");
    CU_ASSERT_PTR_NULL(node_get(train, "epochs"));
    CU_ASSERT_PTR_NULL(node_get(node_get(train, "leaf"), "x"));
    document_release(&document);
}

static void test_document__set_replaces_in_place(void) {
    document_init(&document);
    document_set(&document, "a", make_scalar("1"));
    document_set(&document, "b", make_scalar("2"));
    document_set(&document, "c", make_scalar("3"));
    CU_ASSERT_EQUAL(document_set(&document, "b", make_scalar("x")), STATUS_OK);
    assert_written("a: 1\nb: x\nc: 3\n");
    document_release(&document);
}

static void test_document__set_reaches_into_lists(void) {
    document_init(&document);
    document_set(&document, "layers", make_list(3, (const char *const[]){"relu", "conv", "tanh"}));
    CU_ASSERT_EQUAL(document_set(&document, "layers.1", make_scalar("pool")), STATUS_OK);
    assert_written("layers:\n  - relu\n  - pool\n  - tanh\n");
    CU_ASSERT_PTR_NULL(node_get(document.root, "layers")->child->next->key);
    struct node *nothing = make_scalar(NULL);
    nothing->kind = NODE_NULL;
    CU_ASSERT_EQUAL(document_set(&document, "layers.2", nothing), STATUS_OK);
    CU_ASSERT_EQUAL(document_set(&document, "layers.2.conv.out", make_scalar("9")), STATUS_OK);
    assert_written("layers:\n  - relu\n  - pool\n  - conv:\n      out: 9\n");
    TEST_ASSERT_FAILS(document_set(&document, "layers.3", make_scalar("x")), "list of 3");
    TEST_ASSERT_FAILS(document_set(&document, "layers.x", make_scalar("x")), "\"x\" is no entry");
    TEST_ASSERT_FAILS(document_set(&document, "layers.-1", make_scalar("x")), "\"-1\"");
    document_release(&document);
}

static void test_document__set_refuses_paths_through_scalars(void) {
    document_init(&document);
    document_set(&document, "train.batch", make_scalar("64"));
    TEST_ASSERT_FAILS(document_set(&document, "train.batch.x", make_scalar("1")),
        "\"train.batch\" is no mapping or list but \"64\"");
    TEST_ASSERT_FAILS(document_set(&document, "train..x", make_scalar("1")), "no path");
    TEST_ASSERT_FAILS(document_set(&document, "", make_scalar("1")), "no path");
    assert_written("train:\n  batch: 64\n");
    document_release(&document);
}

static void test_document__copies_are_whole_and_apart(void) {
    document_init(&document);
    document_set(&document, "a.b", make_list(2, (const char *const[]){"x", "5"}));
    document_set(&document, "a.c", make_scalar("true"));
    struct document other;
    document_init(&other);
    CU_ASSERT_EQUAL(node_copy(&other, &other.root, document.root), STATUS_OK);
    char *before = written(document.root, 2);
    document_release(&document);
    char *after = written(other.root, 2);
    CU_ASSERT_STRING_EQUAL(before, after);
    CU_ASSERT_STRING_EQUAL(after, "  a:\n    b:\n      - x\n      - 5\n    c: true\n");
    free(before);
    free(after);
    document_release(&other);
}

static void test_document__texts_are_quoted_where_they_must(void) {
    static const struct {
        const char *text;
        bool quoted;
        const char *expected;
    } cases[] = {
        {"plain", true, "plain"},
        {"a b/c.yaml", true, "a b/c.yaml"},
        {"12", true, "\"12\""},
        {"12", false, "12"},
        {"-1.5e-3", false, "-1.5e-3"},
        {"true", true, "\"true\""},
        {"true", false, "true"},
        {"~", true, "\"~\""},
        {"", false, "\"\""},
        {"a: b", false, "\"a: b\""},
        {"a #b", false, "\"a #b\""},
        {"[1", false, "\"[1\""},
        {"a,b", false, "\"a,b\""},
        {"say \"x\"\\", false, "say \"x\"\\"},
        {"\"x\"", false, "\"\\\"x\\\"\""},
        {"two\nlines\t", false, "\"two\\nlines\\x09\""},
        {"---", false, "\"---\""},
        {"- x", false, "\"- x\""},
        {"gr\xc3\xbcn", true, "gr\xc3\xbcn"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *text = NULL;
        size_t size;
        FILE *out = open_memstream(&text, &size);
        node_write_text(out, cases[i].text, cases[i].quoted);
        fclose(out);
        CU_ASSERT_STRING_EQUAL(text, cases[i].expected);
        free(text);
    }
}

static status fail_here(const struct node *node) {
    FAIL_AT(node, STATUS_USAGE, "wrong %d", 7);
}

static void test_document__failures_name_the_place(void) {
    struct node node = {.kind = NODE_SCALAR, .file = "r.yaml", .line = 3, .column = 9};
    TEST_ASSERT_FAILS(fail_here(&node), "r.yaml:3:9: wrong 7");
    node.line = 0;
    TEST_ASSERT_FAILS(fail_here(&node), "r.yaml: wrong 7");
    CU_ASSERT_EQUAL(fail_here(NULL), STATUS_USAGE);
    CU_ASSERT_STRING_EQUAL(status_message(), "wrong 7");
}

TEST_MAIN("document", TEST(test_document__set_makes_mappings_on_the_way),
    TEST(test_document__set_replaces_in_place), TEST(test_document__set_reaches_into_lists),
    TEST(test_document__set_refuses_paths_through_scalars),
    TEST(test_document__copies_are_whole_and_apart),
    TEST(test_document__texts_are_quoted_where_they_must),
    TEST(test_document__failures_name_the_place))
