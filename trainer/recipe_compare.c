/* What of a recipe is another than when its checkpoint was written, in words. */
#include "io/yaml.h"
#include "trainer/recipe.h"

#include <stdio.h>
#include <string.h>

#define PATH_SIZE 512

/* The initial value of the option that `path` leads to (train.schedule.cosine.warmup_steps), or
 * NULL where it has none, or lies in a list. */
static const char *find_initial(const char *path) {
    char names[PATH_SIZE], *rest = NULL;
    snprintf(names, sizeof names, "%s", path);
    const struct option *table = recipe_options;
    const struct option *option = NULL;
    for (char *name = strtok_r(names, ".", &rest); name != NULL;
         name = strtok_r(NULL, ".", &rest)) {
        const struct kind *const *kinds = option != NULL ? option->kinds : NULL;
        if (kinds != NULL) { /* this part of the path names the kind */
            const struct kind *kind = options_find(kinds, name);
            table = kind != NULL ? kind->options : NULL;
            option = NULL;
            continue;
        }
        for (option = table; option != NULL && option->name != NULL; option++) {
            if (strcmp(option->name, name) == 0) {
                break;
            }
        }
        if (option == NULL || option->name == NULL) {
            return NULL;
        }
        table = option->table;
    }
    return option != NULL ? option->initial : NULL;
}

/* `initial`: what it has where it is absent, or NULL. */
static void describe(char *text, size_t size, const struct node *node, const char *initial) {
    if (node == NULL) {
        snprintf(text, size, "%s", initial != NULL ? initial : "absent");
    } else if (node->kind == NODE_SCALAR) {
        snprintf(text, size, "%s", node->text);
    } else if (node->kind == NODE_NULL) {
        snprintf(text, size, "empty");
    } else {
        const struct node *first = node->child;
        snprintf(text, size, "a %s of %d%s%s%s", node->kind == NODE_LIST ? "list" : "mapping",
            node_count(node), first != NULL && first->key != NULL ? " (" : "",
            first != NULL && first->key != NULL ? first->key : "",
            first != NULL && first->key != NULL ? ", ...)" : "");
    }
}

static void extend(char *path, size_t size, const char *above, const struct node *node, int index) {
    const char *dot = above[0] != '\0' ? "." : "";
    if (node->key != NULL) {
        snprintf(path, size, "%s%s%s", above, dot, node->key);
    } else {
        snprintf(path, size, "%s%s%d", above, dot, index);
    }
}

static status differ(
    const char *path, const struct node *mine, const struct node *theirs, const char *other) {
    char a[128], b[128];
    const char *initial = find_initial(path);
    describe(a, sizeof a, mine, initial);
    describe(b, sizeof b, theirs, initial);
    FAIL(STATUS_USAGE, "%s is %s here and %s in %s: it changes bits and cannot change on the way",
        path, a, b, other);
}

/* Of `mine` and `theirs` the next are `a` and `b`, under other keys. What one of them leaves out
 * because it has its initial value is named by itself. */
static status differ_in_keys(const char *path, const struct node *mine, const struct node *theirs,
    const char *other, const struct node *a, const struct node *b) {
    char below[PATH_SIZE];
    if (a != NULL && a->key != NULL && node_get(theirs, a->key) == NULL) {
        extend(below, sizeof below, path, a, 0);
        if (b == NULL || find_initial(below) != NULL) {
            return differ(below, a, NULL, other);
        }
    }
    if (b != NULL && b->key != NULL && node_get(mine, b->key) == NULL) {
        extend(below, sizeof below, path, b, 0);
        if (a == NULL || find_initial(below) != NULL) {
            return differ(below, NULL, b, other);
        }
    }
    return differ(path, mine, theirs, other);
}

/* First difference in depth-first order. */
static status compare(
    const char *path, const struct node *mine, const struct node *theirs, const char *other) {
    if (mine == NULL || theirs == NULL || mine->kind != theirs->kind) {
        return mine == theirs ? STATUS_OK : differ(path, mine, theirs, other);
    }
    if (mine->kind == NODE_SCALAR) {
        return strcmp(mine->text, theirs->text) == 0 ? STATUS_OK
                                                     : differ(path, mine, theirs, other);
    }
    char below[PATH_SIZE];
    const struct node *a = mine->child, *b = theirs->child;
    for (int i = 0; a != NULL || b != NULL; i++) {
        extend(below, sizeof below, path, a != NULL ? a : b, i);
        bool same_key = a != NULL && b != NULL &&
                        (a->key == NULL || (b->key != NULL && strcmp(a->key, b->key) == 0));
        if (!same_key) {
            return differ_in_keys(path, mine, theirs, other, a, b);
        }
        TRY(compare(below, a, b, other));
        a = a->next;
        b = b->next;
    }
    return STATUS_OK;
}

status recipe_compare(const char *mine, const char *theirs, const char *other) {
    if (strcmp(mine, theirs) == 0) {
        return STATUS_OK;
    }
    status result = STATUS_OK;
    struct document document;
    document_init(&document);
    struct node *a, *b;
    TRY_TO(done, result, yaml_parse(&document, &a, mine, strlen(mine), "recipe"));
    TRY_TO(done, result, yaml_parse(&document, &b, theirs, strlen(theirs), other));
    TRY_TO(done, result, compare("", a, b, other));
    FAIL_TO(done, result, STATUS_USAGE,
        "the cadence of validation, which steers the schedule, is another here than in %s", other);
done:
    document_release(&document);
    return result;
}
