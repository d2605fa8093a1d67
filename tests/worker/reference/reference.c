#include "reference/reference.h"

#include <stdlib.h>
#include <string.h>

const struct reference *reference_find(const char *kind) {
    for (int i = 0; references[i] != NULL; i++) {
        if (strcmp(references[i]->kind, kind) == 0) {
            return references[i];
        }
    }
    return NULL;
}

static const struct node *option(const struct reference_run *run, const char *key) {
    return node_get(run->layer->node, key);
}

double reference_number(const struct reference_run *run, const char *key, double fallback) {
    const struct node *node = option(run, key);
    if (node == NULL && run->layer->node->kind == NODE_SCALAR &&
        run->layer->node->key != NULL) { /* "dropout: 0.5" */
        node = run->layer->node;
    }
    return node == NULL ? fallback : strtod(node->text, NULL);
}

int reference_pair(const struct reference_run *run, const char *key, int axis, int fallback) {
    const struct node *node = option(run, key);
    if (node == NULL) {
        return fallback;
    }
    if (node->kind == NODE_LIST) {
        node = axis == 0 ? node->child : node->child->next;
    }
    return (int)strtol(node->text, NULL, 10);
}

bool reference_switch(const struct reference_run *run, const char *key, bool fallback) {
    const struct node *node = option(run, key);
    return node == NULL ? fallback : strcmp(node->text, "true") == 0;
}

size_t reference_at(struct shape shape, int picture, int channel, int row, int column) {
    return (((size_t)picture * (size_t)shape.channels + (size_t)channel) * (size_t)shape.height +
               (size_t)row) *
               (size_t)shape.width +
           (size_t)column;
}

size_t reference_count(const struct reference_run *run, struct shape shape) {
    return (size_t)run->pass->pictures * shape_elements(shape);
}

int reference_leaf(const struct reference_run *run, int picture) {
    int leaf = 0;
    while (run->pass->leaf_start[leaf + 1] <= picture) {
        leaf++;
    }
    return leaf;
}
