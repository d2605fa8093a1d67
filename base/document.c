#include "base/document.h"

#include "base/number.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

void document_init(struct document *document) {
    pool_init(&document->pool);
    document->root = NULL;
}

void document_release(struct document *document) {
    pool_release(&document->pool);
    document->root = NULL;
}

const struct node *node_get(const struct node *node, const char *key) {
    if (node == NULL || node->kind != NODE_MAPPING) {
        return NULL;
    }
    for (const struct node *child = node->child; child != NULL; child = child->next) {
        if (strcmp(child->key, key) == 0) {
            return child;
        }
    }
    return NULL;
}

int node_count(const struct node *node) {
    int count = 0;
    if (node != NULL) {
        for (const struct node *child = node->child; child != NULL; child = child->next) {
            count++;
        }
    }
    return count;
}

/* Finds the link (the pointer to a node) that the step `key` of a path leads to, below `parent`.
 * In a mapping a missing key gives the empty link at the end. */
static status find_link(
    struct node ***link, struct node *parent, const char *key, const char *path) {
    struct node **at = &parent->child;
    if (parent->kind == NODE_LIST) {
        int64_t index;
        if (!number_parse_integer(&index, key) || index < 0 || index >= node_count(parent)) {
            FAIL(STATUS_USAGE, "%s: \"%s\" is no entry of a list of %d (counted from 0)", path, key,
                node_count(parent));
        }
        for (int64_t i = 0; i < index; i++) {
            at = &(*at)->next;
        }
    } else {
        while (*at != NULL && strcmp((*at)->key, key) != 0) {
            at = &(*at)->next;
        }
    }
    *link = at;
    return STATUS_OK;
}

status document_set(struct document *document, const char *path, struct node *value) {
    struct node **link = &document->root;
    const char *step = path;
    char *key = NULL;
    for (;;) {
        /* What the path runs through must be a mapping or list; nothing or null becomes one. */
        if (*link == NULL) {
            TRY(pool_take(&document->pool, (void **)link, 1, sizeof **link));
            (*link)->key = key;
            (*link)->file = value->file;
            (*link)->line = value->line;
            (*link)->column = value->column;
        }
        struct node *parent = *link;
        if (parent->kind == NODE_NULL) {
            parent->kind = NODE_MAPPING;
        } else if (parent->kind == NODE_SCALAR) {
            FAIL(STATUS_USAGE, "%s: \"%.*s\" is no mapping or list but \"%s\"", path,
                (int)(step > path ? step - path - 1 : 0), path, parent->text);
        }
        size_t length = strcspn(step, ".");
        if (length == 0) {
            FAIL(STATUS_USAGE, "\"%s\" is no path of keys with dots between them", path);
        }
        TRY(pool_copy_text(&document->pool, &key, step, length));
        TRY(find_link(&link, parent, key, path));
        if (step[length] == '\0') {
            if (parent->kind == NODE_LIST) {
                key = NULL;
            }
            break;
        }
        step += length + 1;
    }
    value->key = key;
    value->next = *link != NULL ? (*link)->next : NULL;
    *link = value;
    return STATUS_OK;
}

static status copy_text(struct document *document, const char **copy, const char *text) {
    if (text != NULL) {
        char *taken;
        TRY(pool_copy_text(&document->pool, &taken, text, strlen(text)));
        *copy = taken;
    }
    return STATUS_OK;
}

status node_copy(struct document *document, struct node **copy, const struct node *node) {
    *copy = NULL;
    struct node *made;
    TRY(pool_take(&document->pool, (void **)&made, 1, sizeof *made));
    made->kind = node->kind;
    made->quoted = node->quoted;
    made->line = node->line;
    made->column = node->column;
    TRY(copy_text(document, &made->text, node->text));
    TRY(copy_text(document, &made->key, node->key));
    TRY(copy_text(document, &made->file, node->file));
    struct node **link = &made->child;
    for (const struct node *child = node->child; child != NULL; child = child->next) {
        TRY(node_copy(document, link, child));
        link = &(*link)->next;
    }
    *copy = made;
    return STATUS_OK;
}

const char *node_place(const struct node *node, char *text, size_t size) {
    const char *file = node->file != NULL ? node->file : "(no file)";
    if (node->line > 0) {
        snprintf(text, size, "%s:%d:%d", file, node->line, node->column);
    } else {
        snprintf(text, size, "%s", file);
    }
    return text;
}

status status_fail_at(const struct node *node, status code, const char *file, int line,
    const char *function, const char *format, ...) {
    char text[1024], place[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (node == NULL) {
        return status_fail(code, file, line, function, "%s", text);
    }
    return status_fail(
        code, file, line, function, "%s: %s", node_place(node, place, sizeof place), text);
}
