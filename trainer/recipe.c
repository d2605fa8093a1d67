#include "trainer/recipe.h"

#include "base/tree.h"
#include "io/yaml.h"
#include "schedulers/schedule.h"
#include "worker/exchange/exchange.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

int recipe_leaves(const struct recipe *recipe) {
    return (int)(recipe->train.batch / recipe->train.leaf);
}

static const struct node *node_at(const struct recipe *recipe, const char *group, const char *key) {
    const struct node *parent = node_get(recipe->document.root, group);
    const struct node *node = node_get(parent, key);
    return node != NULL ? node : parent != NULL ? parent : recipe->document.root;
}

/* What ranges cannot say. */
static status check(const struct recipe *recipe) {
    const struct recipe_train *train = &recipe->train;
    if (train->batch % train->leaf != 0) {
        FAIL_AT(node_at(recipe, "train", "batch"), STATUS_USAGE,
            "train.batch = %" PRId64 " must be a power of two times train.leaf = %" PRId64
            ": for instance %" PRId64,
            train->batch, train->leaf, train->leaf * 4);
    }
    int64_t leaves = train->batch / train->leaf;
    if (!tree_is_power_of_two(leaves) || leaves > TREE_LEAVES_LIMIT) {
        int64_t low = 1;
        while (low * 2 <= leaves && low * 2 <= TREE_LEAVES_LIMIT) {
            low *= 2;
        }
        FAIL_AT(node_at(recipe, "train", "batch"), STATUS_USAGE,
            "train.batch / train.leaf = %" PRId64 " leaves, but it must be a power of two of at "
            "most %d: take batch %" PRId64 " or %" PRId64,
            leaves, TREE_LEAVES_LIMIT, low * train->leaf, low * 2 * train->leaf);
    }
    if (train->chunk > 0 && !tree_is_power_of_two(train->chunk)) {
        FAIL_AT(node_at(recipe, "train", "chunk"), STATUS_USAGE,
            "train.chunk = %" PRId64 " leaves must be a power of two", train->chunk);
    }
    if (recipe->exchange.wire != EXCHANGE_FLOAT32 && recipe->exchange.algorithm != EXCHANGE_TREE) {
        FAIL_AT(node_at(recipe, "exchange", "wire"), STATUS_USAGE,
            "exchange.wire: bf16 needs exchange.algorithm: tree: no other adds up what is rounded");
    }
    if (recipe->exchange.wire != EXCHANGE_FLOAT32 && train->local_steps > 1) {
        FAIL_AT(node_at(recipe, "exchange", "wire"), STATUS_USAGE,
            "exchange.wire: bf16 narrows sums of gradients, and train.local_steps = %" PRId64
            " sends none: take one of them",
            train->local_steps);
    }
    if (train->stop.patience > 0 && recipe->data.validation == NULL && recipe->data.train != NULL) {
        FAIL_AT(node_at(recipe, "train", "stop"), STATUS_USAGE,
            "train.stop.patience needs data.validation");
    }
    if (train->from_new.count > 0 && train->from == NULL && recipe->data.train != NULL) {
        FAIL_AT(
            node_at(recipe, "train", "from_new"), STATUS_USAGE, "train.from_new needs train.from");
    }
    const double heartbeat = recipe->watch.heartbeat_seconds;
    if (heartbeat > 0 && heartbeat < RECIPE_HEARTBEAT_SHORTEST) {
        FAIL_AT(node_at(recipe, "watch", "heartbeat_seconds"), STATUS_USAGE,
            "watch.heartbeat_seconds = %g must be %d or more, or 0: a rank that waits for a core "
            "is not dead",
            heartbeat, RECIPE_HEARTBEAT_SHORTEST);
    }
    return schedule_check(&train->schedule);
}

static status fill(struct recipe *recipe) {
    TRY(options_parse(recipe, recipe_options, recipe->document.root, &recipe->document.pool));
    if (recipe->model->kind != NODE_MAPPING) {
        FAIL_AT(recipe->model, STATUS_USAGE,
            "model must be the path of a model's file or a mapping with input and layers");
    }
    return check(recipe);
}

/* Puts the file that `model: path` names in its place. */
static status include_model(struct recipe *recipe) {
    struct document *document = &recipe->document;
    const struct node *node = node_get(document->root, "model");
    if (node == NULL || node->kind != NODE_SCALAR) {
        return STATUS_OK;
    }
    const char *path = node->text;
    /* A path typed on the command line is meant from where the user stands. */
    if (strcmp(node->file, document->root->file) == 0) {
        TRY(yaml_relative_path(document, &path, node->text, node->file));
    }
    struct node *model;
    status result = yaml_load(document, &model, path);
    if (result == STATUS_NOT_FOUND) {
        FAIL_AT(node, STATUS_USAGE, "model: there is no file %s", path);
    }
    TRY(result);
    return document_set(document, "model", model);
}

static bool sets_model(const char *override) {
    return strncmp(override, "model=", 6) == 0;
}

static status override(struct recipe *recipe, const char *const *overrides, int count) {
    for (int i = 0; i < count; i++) {
        if (sets_model(overrides[i])) {
            TRY(yaml_override(&recipe->document, overrides[i]));
        }
    }
    TRY(include_model(recipe));
    for (int i = 0; i < count; i++) {
        if (!sets_model(overrides[i])) {
            TRY(yaml_override(&recipe->document, overrides[i]));
        }
    }
    return STATUS_OK;
}

status recipe_load(
    struct recipe *recipe, const char *path, const char *const *overrides, int count) {
    status result = STATUS_OK;
    *recipe = (struct recipe){0};
    document_init(&recipe->document);
    TRY_TO(failed, result, yaml_load(&recipe->document, &recipe->document.root, path));
    TRY_TO(failed, result, override(recipe, overrides, count));
    TRY_TO(failed, result, fill(recipe));
    return STATUS_OK;
failed:
    recipe_release(recipe);
    return result;
}

status recipe_for_model(struct recipe *recipe, const char *path, const char *text,
    const char *const *overrides, int count) {
    struct node *model;
    status result = STATUS_OK;
    *recipe = (struct recipe){0};
    document_init(&recipe->document);
    TRY_TO(failed, result,
        yaml_parse(
            &recipe->document, &recipe->document.root, text, strlen(text), "built-in recipe"));
    result = yaml_load(&recipe->document, &model, path);
    if (result == STATUS_NOT_FOUND) {
        FAIL_TO(failed, result, STATUS_USAGE, "there is no file %s", path);
    }
    TRY_TO(failed, result, result);
    TRY_TO(failed, result, document_set(&recipe->document, "model", model));
    TRY_TO(failed, result, override(recipe, overrides, count));
    TRY_TO(failed, result, fill(recipe));
    return STATUS_OK;
failed:
    recipe_release(recipe);
    return result;
}

status recipe_parse(struct recipe *recipe, const char *text, size_t size, const char *name) {
    status result = STATUS_OK;
    *recipe = (struct recipe){0};
    document_init(&recipe->document);
    TRY_TO(failed, result, yaml_parse(&recipe->document, &recipe->document.root, text, size, name));
    TRY_TO(failed, result, fill(recipe));
    return STATUS_OK;
failed:
    recipe_release(recipe);
    return result;
}

void recipe_release(struct recipe *recipe) {
    document_release(&recipe->document);
    *recipe = (struct recipe){0};
}

void recipe_write(FILE *out, const struct recipe *recipe) {
    options_write(out, recipe, recipe_options, 0, 0);
}

/* Where validation steers the rate, its cadence changes bits too. */
static void write_cadence(FILE *out, const struct recipe *recipe) {
    const struct schedule_operations *schedule =
        (const struct schedule_operations *)recipe->train.schedule.kind;
    if (schedule != NULL && schedule->observe != NULL) {
        fprintf(out, "# validation every %" PRId64 " epochs, %" PRId64 " steps\n",
            recipe->train.validate_every_epochs, recipe->train.validate_every_steps);
    }
}

status recipe_canonical(char **text, const struct recipe *recipe) {
    size_t size;
    *text = NULL;
    FILE *out = open_memstream(text, &size);
    if (out == NULL) {
        FAIL(STATUS_SYSTEM, "no memory for the canonical recipe");
    }
    options_write(out, recipe, recipe_options, 0, OPTION_CHANGES_BITS | OPTION_ADDED);
    write_cadence(out, recipe);
    if (fclose(out) != 0) {
        free(*text);
        *text = NULL;
        FAIL(STATUS_SYSTEM, "no memory for the canonical recipe");
    }
    return STATUS_OK;
}
