#include "base/options.h"
#include "support/support.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

/* One struct with every type of option, and two families of kinds. */
struct sgd_values {
    double momentum;
    bool nesterov;
};
static const struct option sgd_options[] = {
    {"momentum", OPTION_REAL, offsetof(struct sgd_values, momentum), "0.9", .low = 0, .high = 1,
        .flags = OPTION_CHANGES_BITS, .help = "share of the old step"},
    {"nesterov", OPTION_SWITCH, offsetof(struct sgd_values, nesterov), NULL, .low = 0, .high = 0,
        .flags = OPTION_CHANGES_BITS, .help = "look ahead"},
    OPTIONS_END};
static const struct kind sgd = {"sgd", "plain descent", sgd_options, sizeof(struct sgd_values)};
static const struct kind none = {"none", "does nothing", NULL, 0};
static const struct kind *const kinds[] = {&sgd, &none, NULL};

struct group_values {
    int64_t size;
    double ratio;
};
static const struct option group_options[] = {
    {"size", OPTION_INTEGER, offsetof(struct group_values, size), "5", .low = 1, .high = INFINITY,
        .flags = 0, .help = "size of it"},
    {"ratio", OPTION_REAL, offsetof(struct group_values, ratio), "0.25", .low = 0, .high = 0,
        .flags = OPTION_CHANGES_BITS, .help = "ratio of it"},
    OPTIONS_END};

static const char *const shuffles[] = {"none", "global", "shard", NULL};

struct values {
    int64_t epochs, seed;
    double rate;
    bool flag;
    const char *model;
    int64_t room;
    int shuffle;
    int64_t kernel[2];
    struct option_reals mean;
    struct option_texts files;
    struct group_values group;
    struct choice optimizer;
    struct choices transforms;
    const struct node *layers;
};

#define FIELD(name) offsetof(struct values, name)
static const struct option table[] = {{"epochs", OPTION_INTEGER, FIELD(epochs), NULL, .low = 1,
                                          .high = 1000, .flags = OPTION_REQUIRED, .help = "passes"},
    {"seed", OPTION_INTEGER, FIELD(seed), "1", .flags = OPTION_CHANGES_BITS, .help = "seed"},
    {"rate", OPTION_REAL, FIELD(rate), "0.1", .low = 1e-10, .high = 10,
        .flags = OPTION_CHANGES_BITS, .help = "learning rate"},
    {"flag", OPTION_SWITCH, FIELD(flag), "true", .help = "a flag"},
    {"model", OPTION_TEXT, FIELD(model), NULL, .help = "a file | of a model"},
    {"room", OPTION_BYTES, FIELD(room), "4 MiB", .low = 1024, .high = 1 << 30, .flags = 0,
        .help = "bytes to use"},
    {"shuffle", OPTION_NAME, FIELD(shuffle), "global", .flags = OPTION_CHANGES_BITS,
        .help = "order", .names = shuffles},
    {"kernel", OPTION_PAIR, FIELD(kernel), "[3, 5]", .low = 1, .high = 99,
        .flags = OPTION_CHANGES_BITS, .help = "kernel size"},
    {"mean", OPTION_REALS, FIELD(mean), "[0.5, 0.25]", .help = "means"},
    {"files", OPTION_TEXTS, FIELD(files), NULL, .help = "files"},
    {"group", OPTION_GROUP, FIELD(group), NULL, .help = "a group", .table = group_options},
    {"optimizer", OPTION_CHOICE, FIELD(optimizer), "sgd", .flags = OPTION_CHANGES_BITS,
        .help = "optimizer", .kinds = kinds},
    {"transforms", OPTION_CHOICES, FIELD(transforms), NULL, .help = "transforms", .kinds = kinds},
    {"layers", OPTION_NODE, FIELD(layers), NULL, .help = "layers"}, OPTIONS_END};

static struct pool pool;
static struct values values;

/* --- documents by hand: base has no YAML --- */

static struct node *make(
    enum node_kind kind, const char *key, const char *text, struct node *child, struct node *next) {
    struct node *node;
    CU_ASSERT_EQUAL_FATAL(pool_take(&pool, (void **)&node, 1, sizeof *node), STATUS_OK);
    *node = (struct node){kind, false, text, key, child, next, "r.yaml", 7, 3};
    return node;
}
static struct node *scalar(const char *key, const char *text, struct node *next) {
    return make(NODE_SCALAR, key, text, NULL, next);
}
static struct node *list(const char *key, struct node *child, struct node *next) {
    return make(NODE_LIST, key, NULL, child, next);
}
static struct node *mapping(const char *key, struct node *child, struct node *next) {
    return make(NODE_MAPPING, key, NULL, child, next);
}

/* Parses {epochs: 2} and one entry more. */
static status parse_with(struct node *entry) {
    return options_parse(&values, table, mapping(NULL, scalar("epochs", "2", entry), NULL), &pool);
}

static char *written(int flags) {
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    options_write(out, &values, table, 0, flags);
    fclose(out);
    return text;
}

static void test_options__absent_keys_have_their_defaults(void) {
    pool_init(&pool);
    memset(&values, 0x55, sizeof values);
    CU_ASSERT_EQUAL_FATAL(parse_with(make(NODE_NULL, "rate", NULL, NULL, NULL)), STATUS_OK);
    CU_ASSERT_EQUAL(values.epochs, 2);
    CU_ASSERT_EQUAL(values.seed, 1);
    CU_ASSERT_EQUAL(values.rate, 0.1);
    CU_ASSERT_TRUE(values.flag);
    CU_ASSERT_PTR_NULL(values.model);
    CU_ASSERT_EQUAL(values.room, 4 << 20);
    CU_ASSERT_EQUAL(values.shuffle, 1);
    CU_ASSERT_TRUE(values.kernel[0] == 3 && values.kernel[1] == 5);
    CU_ASSERT_TRUE(values.mean.count == 2 && values.mean.values[1] == 0.25);
    CU_ASSERT_EQUAL(values.files.count, 0);
    CU_ASSERT_TRUE(values.group.size == 5 && values.group.ratio == 0.25);
    CU_ASSERT_PTR_EQUAL(values.optimizer.kind, &sgd);
    CU_ASSERT_EQUAL(((struct sgd_values *)values.optimizer.values)->momentum, 0.9);
    CU_ASSERT_EQUAL(values.transforms.count, 0);
    CU_ASSERT_PTR_NULL(values.layers);
    pool_release(&pool);
}

static void test_options__every_type_is_parsed(void) {
    pool_init(&pool);
    struct node *layers = list("layers", scalar(NULL, "relu", NULL), NULL);
    struct node *entries = scalar("seed", "-9",
        scalar("rate", "1e-3",
            scalar("flag", "Off",
                scalar("model", "12",
                    scalar("room", "64 KiB",
                        scalar("shuffle", "shard",
                            scalar("kernel", "7",
                                scalar("mean", "0.75",
                                    list("files", scalar(NULL, "a", scalar(NULL, "b", NULL)),
                                        layers)))))))));
    CU_ASSERT_EQUAL_FATAL(parse_with(entries), STATUS_OK);
    CU_ASSERT_EQUAL(values.seed, -9);
    CU_ASSERT_EQUAL(values.rate, 1e-3);
    CU_ASSERT_FALSE(values.flag);
    CU_ASSERT_STRING_EQUAL(values.model, "12");
    CU_ASSERT_EQUAL(values.room, 65536);
    CU_ASSERT_EQUAL(values.shuffle, 2);
    CU_ASSERT_TRUE(values.kernel[0] == 7 && values.kernel[1] == 7);
    CU_ASSERT_TRUE(values.mean.count == 1 && values.mean.values[0] == 0.75);
    CU_ASSERT_TRUE(values.files.count == 2 && strcmp(values.files.values[1], "b") == 0);
    CU_ASSERT_PTR_EQUAL(values.layers, layers);
    pool_release(&pool);
}

static void test_options__ranges_include_their_ends(void) {
    pool_init(&pool);
    CU_ASSERT_EQUAL(parse_with(scalar("rate", "10", NULL)), STATUS_OK);
    CU_ASSERT_EQUAL(parse_with(scalar("kernel", "99", NULL)), STATUS_OK);
    CU_ASSERT_EQUAL(parse_with(scalar("kernel", "1", NULL)), STATUS_OK);
    CU_ASSERT_EQUAL(parse_with(scalar("group", "9000000000", NULL)), STATUS_OK);
    TEST_ASSERT_FAILS(parse_with(scalar("rate", "10.5", NULL)),
        "r.yaml:7:3: rate: 10.5 is out of range (1e-10 to 10)");
    TEST_ASSERT_FAILS(parse_with(scalar("kernel", "100", NULL)),
        "r.yaml:7:3: kernel: 100 is out of range (1 to 99)");
    TEST_ASSERT_FAILS(parse_with(list("kernel", scalar(NULL, "3", scalar(NULL, "0", NULL)), NULL)),
        "kernel: 0 is out of range");
    TEST_ASSERT_FAILS(
        parse_with(scalar("group", "0", NULL)), "size: 0 is out of range (at least 1)");
    TEST_ASSERT_FAILS(
        parse_with(scalar("room", "2 GiB", NULL)), "room: 2 GiB is out of range (1 KiB to 1 GiB)");
    pool_release(&pool);
}

static void test_options__wrong_types_are_refused(void) {
    pool_init(&pool);
    TEST_ASSERT_FAILS(parse_with(scalar("seed", "1e6", NULL)), "seed: \"1e6\" is not");
    TEST_ASSERT_FAILS(parse_with(scalar("seed", "64k", NULL)), "whole number");
    TEST_ASSERT_FAILS(parse_with(scalar("rate", "nan", NULL)), "rate: \"nan\"");
    TEST_ASSERT_FAILS(parse_with(scalar("rate", ".inf", NULL)), "rate: \".inf\"");
    TEST_ASSERT_FAILS(parse_with(scalar("flag", "1", NULL)), "true or false");
    TEST_ASSERT_FAILS(parse_with(list("model", NULL, NULL)), "model: a list is not");
    TEST_ASSERT_FAILS(parse_with(scalar("room", "4 MB", NULL)), "no number of bytes");
    TEST_ASSERT_FAILS(parse_with(list("kernel", scalar(NULL, "3", NULL), NULL)), "list of 1");
    TEST_ASSERT_FAILS(parse_with(list("mean", scalar(NULL, "x", NULL), NULL)), "mean: \"x\"");
    TEST_ASSERT_FAILS(parse_with(mapping("seed", NULL, NULL)), "a mapping of keys");
    struct node *quoted = scalar("seed", "5", NULL);
    quoted->quoted = true;
    TEST_ASSERT_FAILS(parse_with(quoted), "seed: \"5\" is not");
    TEST_ASSERT_FAILS(
        options_parse(&values, table, scalar(NULL, "hello", NULL), &pool), "not hello");
    pool_release(&pool);
}

static void test_options__unknown_names_give_the_nearest(void) {
    pool_init(&pool);
    TEST_ASSERT_FAILS(parse_with(scalar("sede", "1", NULL)),
        "r.yaml:7:3: unknown key \"sede\"; did you mean \"seed\"?");
    TEST_ASSERT_FAILS(parse_with(scalar("transfroms", "x", NULL)), "did you mean \"transforms\"?");
    TEST_ASSERT_FAILS(parse_with(scalar("zzzzzz", "x", NULL)), "; known: epochs, seed, rate");
    TEST_ASSERT_FAILS(parse_with(scalar("shuffle", "globl", NULL)),
        "shuffle: unknown \"globl\"; did you mean \"global\"? (known: none, global, shard)");
    TEST_ASSERT_FAILS(parse_with(scalar("optimizer", "sdg", NULL)),
        "r.yaml:7:3: unknown optimizer \"sdg\"; did you mean \"sgd\"? (known: sgd, none)");
    TEST_ASSERT_FAILS(parse_with(list("transforms", scalar(NULL, "flip", NULL), NULL)),
        "unknown entry of transforms \"flip\"; known: sgd, none");
    TEST_ASSERT_FAILS(
        parse_with(mapping("group", scalar("siz", "1", NULL), NULL)), "group: unknown key \"siz\"");
    pool_release(&pool);
}

static void test_options__required_keys_are_missed(void) {
    pool_init(&pool);
    TEST_ASSERT_FAILS(options_parse(&values, table, mapping(NULL, NULL, NULL), &pool),
        "r.yaml:7:3: \"epochs\" is missing (passes)");
    TEST_ASSERT_FAILS(options_parse(&values, table, NULL, &pool), "\"epochs\" is missing");
    pool_release(&pool);
}

static void test_options__choices_have_short_forms(void) {
    pool_init(&pool);
    CU_ASSERT_EQUAL_FATAL(parse_with(scalar("optimizer", "none", NULL)), STATUS_OK);
    CU_ASSERT_PTR_EQUAL(values.optimizer.kind, &none);
    struct node *full =
        mapping("optimizer", mapping("sgd", scalar("nesterov", "yes", NULL), NULL), NULL);
    CU_ASSERT_EQUAL_FATAL(parse_with(full), STATUS_OK);
    struct sgd_values *chosen = values.optimizer.values;
    CU_ASSERT_TRUE(chosen->momentum == 0.9 && chosen->nesterov);
    CU_ASSERT_PTR_EQUAL(values.optimizer.node, full);
    /* {sgd: 0.5} sets the first option, {sgd: null} none. */
    CU_ASSERT_EQUAL_FATAL(
        parse_with(mapping("optimizer", scalar("sgd", "0.5", NULL), NULL)), STATUS_OK);
    CU_ASSERT_EQUAL(((struct sgd_values *)values.optimizer.values)->momentum, 0.5);
    CU_ASSERT_EQUAL_FATAL(
        parse_with(mapping("optimizer", make(NODE_NULL, "sgd", NULL, NULL, NULL), NULL)),
        STATUS_OK);
    CU_ASSERT_EQUAL(((struct sgd_values *)values.optimizer.values)->momentum, 0.9);
    TEST_ASSERT_FAILS(
        parse_with(mapping("optimizer",
            make(NODE_NULL, "sgd", NULL, NULL, scalar("momentum", "0.5", NULL)), NULL)),
        "\"momentum\" stands beside \"sgd\"");
    TEST_ASSERT_FAILS(
        parse_with(mapping("optimizer", scalar("none", "1", NULL), NULL)), "none takes no options");
    TEST_ASSERT_FAILS(parse_with(mapping("optimizer", scalar("sgd", "2", NULL), NULL)),
        "momentum: 2 is out of range (0 to 1)");
    TEST_ASSERT_FAILS(parse_with(mapping("optimizer", NULL, NULL)), "belongs here");
    TEST_ASSERT_FAILS(parse_with(list("optimizer", NULL, NULL)), "belongs here");
    pool_release(&pool);
}

static void test_options__a_group_takes_its_first_option_alone(void) {
    pool_init(&pool);
    CU_ASSERT_EQUAL_FATAL(parse_with(scalar("group", "8", NULL)), STATUS_OK);
    CU_ASSERT_TRUE(values.group.size == 8 && values.group.ratio == 0.25);
    CU_ASSERT_EQUAL_FATAL(
        parse_with(mapping("group", scalar("ratio", "3", NULL), NULL)), STATUS_OK);
    CU_ASSERT_TRUE(values.group.size == 5 && values.group.ratio == 3);
    pool_release(&pool);
}

/* What options_write wrote below, read back by hand. */
static struct node *all_entries(void) {
    struct node *transforms = list("transforms",
        mapping(NULL, mapping("sgd", scalar("momentum", "0.3", NULL), NULL),
            scalar(NULL, "none", NULL)),
        list("layers", scalar(NULL, "relu", NULL), NULL));
    return scalar("rate", "0.30000000000000004",
        scalar("model", "a: b",
            list("kernel", scalar(NULL, "1", scalar(NULL, "7", NULL)),
                list("mean", scalar(NULL, "0.1", scalar(NULL, "2", NULL)),
                    list("files", scalar(NULL, "12", scalar(NULL, "b", NULL)), transforms)))));
}

static void test_options__writing_is_complete_and_canonical(void) {
    pool_init(&pool);
    CU_ASSERT_EQUAL_FATAL(parse_with(all_entries()), STATUS_OK);
    char *text = written(0);
    CU_ASSERT_STRING_EQUAL(text, "epochs: 2\n"
                                 "seed: 1\n"
                                 "rate: 0.30000000000000004\n"
                                 "flag: true\n"
                                 "model: \"a: b\"\n"
                                 "room: 4 MiB\n"
                                 "shuffle: global\n"
                                 "kernel: [1, 7]\n"
                                 "mean: [0.1, 2]\n"
                                 "files: [\"12\", b]\n"
                                 "group:\n"
                                 "  size: 5\n"
                                 "  ratio: 0.25\n"
                                 "optimizer:\n"
                                 "  sgd:\n"
                                 "    momentum: 0.9\n"
                                 "    nesterov: false\n"
                                 "transforms:\n"
                                 "  - sgd:\n"
                                 "      momentum: 0.3\n"
                                 "      nesterov: false\n"
                                 "  - none\n"
                                 "layers:\n"
                                 "  - relu\n");
    free(text);
    pool_release(&pool);
}

static void test_options__only_what_changes_bits_is_hashed(void) {
    pool_init(&pool);
    CU_ASSERT_EQUAL_FATAL(parse_with(all_entries()), STATUS_OK);
    char *text = written(OPTION_CHANGES_BITS);
    CU_ASSERT_STRING_EQUAL(text, "seed: 1\n"
                                 "rate: 0.30000000000000004\n"
                                 "shuffle: global\n"
                                 "kernel: [1, 7]\n"
                                 "group:\n"
                                 "  ratio: 0.25\n"
                                 "optimizer:\n"
                                 "  sgd:\n"
                                 "    momentum: 0.9\n"
                                 "    nesterov: false\n"
                                 "transforms:\n"
                                 "  - sgd:\n"
                                 "      momentum: 0.3\n"
                                 "      nesterov: false\n"
                                 "  - none\n");
    free(text);
    pool_release(&pool);
}

static void test_options__help_and_reference_name_every_option(void) {
    char *text[2] = {NULL, NULL};
    for (int which = 0; which < 2; which++) {
        size_t size;
        FILE *out = open_memstream(&text[which], &size);
        if (which == 0) {
            options_help(out, table, 2);
        } else {
            options_document(out, table, "Everything");
        }
        fclose(out);
        for (int i = 0; table[i].name != NULL; i++) {
            CU_ASSERT_PTR_NOT_NULL(strstr(text[which], table[i].name));
        }
        static const char *const inner[] = {"momentum", "nesterov", "size", "ratio", "none",
            "lain descent", "1 to 1000", "4 MiB", "required", "none, global, shard"};
        for (size_t i = 0; i < sizeof inner / sizeof inner[0]; i++) {
            CU_ASSERT_PTR_NOT_NULL(strstr(text[which], inner[i]));
        }
    }
    CU_ASSERT_PTR_NOT_NULL(strstr(text[1], "## Everything\n"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text[1], "a file \\| of a model"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text[1], "| `seed` | whole number | `1` | yes | seed |\n"));
    CU_ASSERT_PTR_NOT_NULL(strstr(text[0], "    momentum "));
    /* A family that two options choose from is written once. */
    const char *first = strstr(text[1], "### `sgd`\n");
    CU_ASSERT_PTR_NOT_NULL_FATAL(first);
    CU_ASSERT_PTR_NULL(strstr(first + 1, "### `sgd`\n"));
    free(text[0]);
    free(text[1]);
}

static void test_options__kinds_have_a_reference_too(void) {
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    options_document_kinds(out, kinds, "Optimizers", OPTION_CHANGES_BITS);
    fclose(out);
    CU_ASSERT_STRING_EQUAL(text,
        "## Optimizers\n\n"
        "### `sgd`\n\nPlain descent.\n\n"
        "| key | value | default | changes bits | meaning |\n| --- | --- | --- | --- | --- |\n"
        "| `momentum` | number, 0 to 1 | `0.9` | yes | share of the old step |\n"
        "| `nesterov` | true or false | `false` | yes | look ahead |\n\n"
        "### `none`\n\nDoes nothing.\n\n");
    free(text);
}

static void test_options__nearest_knows_slips_from_other_words(void) {
    static const char *const names[] = {"batchnorm", "conv", "relu"};
    CU_ASSERT_STRING_EQUAL(options_nearest("batch_norm", names, 3), "batchnorm");
    CU_ASSERT_STRING_EQUAL(options_nearest("cnov", names, 3), "conv");
    CU_ASSERT_STRING_EQUAL(options_nearest("ReLU", names, 3), "relu");
    CU_ASSERT_PTR_NULL(options_nearest("softmax", names, 3));
    CU_ASSERT_PTR_NULL(options_nearest("x", names, 3));
    CU_ASSERT_PTR_NULL(options_nearest("", names, 3));
    char longest[400];
    memset(longest, 'x', sizeof longest);
    longest[399] = '\0';
    CU_ASSERT_PTR_NULL(options_nearest(longest, names, 3));
}

/* One value more than checkpoints of old know, in a choice of which everything is written. */
static void test_options__what_was_added_is_left_out_at_its_initial_value(void) {
    struct added {
        double norm;
        int64_t steps;
        bool flag;
        int shuffle;
    };
    struct outer {
        struct choice choice;
    };
    const struct option inner[] = {
        {"norm", OPTION_REAL, offsetof(struct added, norm), "0.5", .flags = OPTION_ADDED},
        {"steps", OPTION_INTEGER, offsetof(struct added, steps), "3", .flags = OPTION_ADDED},
        {"flag", OPTION_SWITCH, offsetof(struct added, flag), NULL, .flags = OPTION_ADDED},
        {"shuffle", OPTION_NAME, offsetof(struct added, shuffle), "global", .flags = OPTION_ADDED,
            .names = shuffles},
        OPTIONS_END};
    const struct kind kind = {"kind", "", inner, sizeof(struct added)};
    struct added added = {0.5, 3, false, 1};
    const struct outer outer = {{&kind, &added, NULL}};
    const struct option outside[] = {
        {"choice", OPTION_CHOICE, 0, NULL, .flags = OPTION_CHANGES_BITS}, OPTIONS_END};
    static const char *const wanted[] = {"choice: kind\n", "choice:\n  kind:\n    norm: 0.25\n",
        "choice:\n  kind:\n    norm: 0.25\n    steps: 4\n    flag: true\n    shuffle: shard\n",
        "choice:\n  kind:\n    norm: 0.5\n    steps: 3\n    flag: false\n    shuffle: global\n"};
    for (int k = 0; k < 4; k++) {
        char text[200] = "";
        FILE *out = fmemopen(text, sizeof text, "w");
        added = k == 0 || k == 3 ? (struct added){0.5, 3, false, 1}
                : k == 1         ? (struct added){0.25, 3, false, 1}
                                 : (struct added){0.25, 4, true, 2};
        options_write(out, &outer, outside, 0, k < 3 ? OPTION_CHANGES_BITS | OPTION_ADDED : 0);
        fclose(out);
        CU_ASSERT_STRING_EQUAL(text, wanted[k]);
    }
}

TEST_MAIN("options", TEST(test_options__absent_keys_have_their_defaults),
    TEST(test_options__every_type_is_parsed), TEST(test_options__ranges_include_their_ends),
    TEST(test_options__wrong_types_are_refused), TEST(test_options__unknown_names_give_the_nearest),
    TEST(test_options__required_keys_are_missed), TEST(test_options__choices_have_short_forms),
    TEST(test_options__a_group_takes_its_first_option_alone),
    TEST(test_options__writing_is_complete_and_canonical),
    TEST(test_options__what_was_added_is_left_out_at_its_initial_value),
    TEST(test_options__only_what_changes_bits_is_hashed),
    TEST(test_options__help_and_reference_name_every_option),
    TEST(test_options__kinds_have_a_reference_too),
    TEST(test_options__nearest_knows_slips_from_other_words))
