#include "io/yaml.h"

#include "io/file.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

struct anchor {
    const char *name;
    const struct node *node;
    int nodes, height; /* what an alias of it adds */
};

struct reader {
    yaml_parser_t parser;
    struct document *document;
    const char *file;
    int first_column; /* of the text in its first line, less 1 */
    int nodes;
    int anchors;
    struct anchor anchor[YAML_ANCHORS];
};

/* FAIL at a mark of libyaml (which counts from 0). */
#define FAIL_MARK(reader, mark, ...)                                                               \
    do {                                                                                           \
        struct node place_ = {0};                                                                  \
        set_place(&place_, (reader), (mark));                                                      \
        FAIL_AT(&place_, STATUS_USAGE, __VA_ARGS__);                                               \
    } while (0)

static void set_place(struct node *node, const struct reader *reader, yaml_mark_t mark) {
    node->file = reader->file;
    node->line = (int)mark.line + 1;
    node->column = (int)mark.column + 1 + (mark.line == 0 ? reader->first_column : 0);
}

/* A place from an offset in bytes, which is all libyaml gives for text that is not Unicode. */
static yaml_mark_t mark_at(const char *text, size_t size, size_t offset) {
    yaml_mark_t mark = {0};
    for (size_t i = 0; i < offset && i < size; i++) {
        mark.column++;
        if (text[i] == '\n') {
            mark.line++;
            mark.column = 0;
        }
    }
    return mark;
}

static status next_event(yaml_event_t *event, struct reader *reader) {
    if (yaml_parser_parse(&reader->parser, event)) {
        return STATUS_OK;
    }
    const yaml_parser_t *parser = &reader->parser;
    const char *problem = parser->problem != NULL ? parser->problem : "cannot be read";
    const char *text = (const char *)parser->input.string.start;
    size_t size = (size_t)((const char *)parser->input.string.end - text);
    if (parser->error == YAML_MEMORY_ERROR) {
        FAIL(STATUS_SYSTEM, "no memory to read %s", reader->file);
    }
    if (parser->error == YAML_READER_ERROR) {
        FAIL_MARK(reader, mark_at(text, size, parser->problem_offset), "not YAML: %s", problem);
    }
    yaml_mark_t mark = parser->problem_mark;
    if (parser->eof && mark.column == 0 && size > 0 && text[size - 1] != '\n') {
        mark = mark_at(text, size, size); /* libyaml ends a last line that has no newline */
    }
    FAIL_MARK(reader, mark, "not YAML: %s%s%s", problem, parser->context != NULL ? " " : "",
        parser->context != NULL ? parser->context : "");
}

static status new_node(
    struct node **node, struct reader *reader, enum node_kind kind, yaml_mark_t mark) {
    if (++reader->nodes > YAML_NODES) {
        FAIL_MARK(reader, mark, "more than %d values, aliases written out", YAML_NODES);
    }
    TRY(pool_take(&reader->document->pool, (void **)node, 1, sizeof **node));
    (*node)->kind = kind;
    set_place(*node, reader, mark);
    return STATUS_OK;
}

static bool is_null(const char *text) {
    static const char *const names[] = {"", "~", "null", "Null", "NULL"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(text, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

static status read_scalar(struct node **node, struct reader *reader, const yaml_event_t *event) {
    const char *text = (const char *)event->data.scalar.value;
    size_t length = event->data.scalar.length;
    if (memchr(text, '\0', length) != NULL) {
        FAIL_MARK(reader, event->start_mark, "a zero byte in a text");
    }
    bool quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    if (!quoted && is_null(text)) {
        return new_node(node, reader, NODE_NULL, event->start_mark);
    }
    TRY(new_node(node, reader, NODE_SCALAR, event->start_mark));
    (*node)->quoted = quoted;
    return pool_copy_text(&reader->document->pool, (char **)&(*node)->text, text, length);
}

/* Nodes in the tree, and levels of it. */
static int tree_nodes(int *height, const struct node *node) {
    int nodes = 1, below = 0;
    for (const struct node *child = node->child; child != NULL; child = child->next) {
        int levels;
        nodes += tree_nodes(&levels, child);
        below = levels > below ? levels : below;
    }
    *height = below + 1;
    return nodes;
}

static status keep_anchor(struct reader *reader, const yaml_char_t *name, const struct node *node) {
    struct anchor anchor = {.node = node};
    if (reader->anchors == YAML_ANCHORS) {
        FAIL_AT(node, STATUS_USAGE, "more than %d anchors", YAML_ANCHORS);
    }
    TRY(pool_copy_text(&reader->document->pool, (char **)&anchor.name, (const char *)name,
        strlen((const char *)name)));
    anchor.nodes = tree_nodes(&anchor.height, node);
    reader->anchor[reader->anchors++] = anchor;
    return STATUS_OK;
}

/* A copy that shares texts with the original, which lives in the same pool (node_copy would write a
 * long text out for every alias of it). */
static status copy_tree(struct node **copy, struct reader *reader, const struct node *node) {
    struct node *made;
    TRY(pool_take(&reader->document->pool, (void **)&made, 1, sizeof *made));
    *made = *node;
    made->child = made->next = NULL;
    struct node **tail = &made->child;
    for (const struct node *child = node->child; child != NULL; child = child->next) {
        TRY(copy_tree(tail, reader, child));
        tail = &(*tail)->next;
    }
    *copy = made;
    return STATUS_OK;
}

static status read_alias(
    struct node **node, struct reader *reader, const yaml_event_t *event, int depth) {
    const char *name = (const char *)event->data.alias.anchor;
    const struct anchor *anchor = NULL;
    for (int i = reader->anchors - 1; i >= 0 && anchor == NULL; i--) { /* the latest counts */
        if (strcmp(reader->anchor[i].name, name) == 0) {
            anchor = &reader->anchor[i];
        }
    }
    if (anchor == NULL) {
        FAIL_MARK(reader, event->start_mark, "the alias *%s has no finished anchor &%s above it",
            name, name);
    }
    if (anchor->nodes > YAML_NODES - reader->nodes) {
        FAIL_MARK(
            reader, event->start_mark, "more than %d values, aliases written out", YAML_NODES);
    }
    if (depth + anchor->height > YAML_DEPTH) {
        FAIL_MARK(reader, event->start_mark, "nested deeper than %d levels", YAML_DEPTH);
    }
    reader->nodes += anchor->nodes;
    return copy_tree(node, reader, anchor->node);
}

static int compare_keys(const void *a, const void *b) {
    const struct node *x = *(const struct node *const *)a, *y = *(const struct node *const *)b;
    int order = strcmp(x->key, y->key);
    if (order != 0) {
        return order;
    }
    return x->line != y->line ? (x->line > y->line) - (x->line < y->line)
                              : (x->column > y->column) - (x->column < y->column);
}

/* Sorted, since a search for each of a million keys would take hours. */
static status refuse_duplicates(const struct node *mapping, int count) {
    if (count < 2) {
        return STATUS_OK;
    }
    const struct node **entries;
    TRY(MEMORY_ALLOCATE(&entries, (size_t)count));
    int i = 0;
    for (const struct node *entry = mapping->child; entry != NULL; entry = entry->next) {
        entries[i++] = entry;
    }
    qsort(entries, (size_t)count, sizeof *entries, compare_keys);
    status result = STATUS_OK;
    for (i = 1; i < count && result == STATUS_OK; i++) {
        if (strcmp(entries[i - 1]->key, entries[i]->key) == 0) {
            result = status_fail_at(entries[i], STATUS_USAGE, __FILE__, __LINE__, __func__,
                "the key '%s' is given twice; first in line %d", entries[i]->key,
                entries[i - 1]->line);
        }
    }
    free(entries);
    return result;
}

static status read_node(
    struct node **node, struct reader *reader, const yaml_event_t *event, int depth);

static status read_key(const char **key, struct reader *reader, const yaml_event_t *event) {
    if (event->type != YAML_SCALAR_EVENT) {
        FAIL_MARK(reader, event->start_mark, "a key must be a plain name");
    }
    struct node *node;
    if (event->data.scalar.tag != NULL || event->data.scalar.anchor != NULL) {
        FAIL_MARK(reader, event->start_mark, "a key takes no tag and no anchor");
    }
    TRY(read_scalar(&node, reader, event));
    if (node->kind == NODE_NULL || node->text[0] == '\0') {
        FAIL_MARK(reader, event->start_mark, "an empty key");
    }
    if (!node->quoted && strcmp(node->text, "<<") == 0) {
        FAIL_MARK(reader, event->start_mark, "merging by '<<' is not supported");
    }
    *key = node->text;
    return STATUS_OK;
}

/* The entries of a list or mapping, up to its end. */
static status read_entries(struct node *parent, struct reader *reader, int depth) {
    struct node **tail = &parent->child;
    int count = 0;
    for (;;) {
        yaml_event_t event;
        TRY(next_event(&event, reader));
        if (event.type == YAML_SEQUENCE_END_EVENT || event.type == YAML_MAPPING_END_EVENT) {
            yaml_event_delete(&event);
            break;
        }
        status result = STATUS_OK;
        struct node *entry = NULL;
        if (parent->kind == NODE_MAPPING) {
            const char *key = NULL;
            yaml_mark_t mark = event.start_mark;
            result = read_key(&key, reader, &event);
            yaml_event_delete(&event);
            TRY(result);
            TRY(next_event(&event, reader));
            result = read_node(&entry, reader, &event, depth);
            if (result == STATUS_OK) {
                entry->key = key;
                set_place(entry, reader, mark);
            }
        } else {
            result = read_node(&entry, reader, &event, depth);
            if (result == STATUS_OK) {
                entry->key = NULL; /* an alias of a mapping's value brings a key along */
            }
        }
        yaml_event_delete(&event);
        TRY(result);
        *tail = entry;
        tail = &entry->next;
        count++;
    }
    return parent->kind == NODE_MAPPING ? refuse_duplicates(parent, count) : STATUS_OK;
}

/* The node that begins with `event`, which stays the caller's. `depth` levels lie above it. */
static status read_node(
    struct node **node, struct reader *reader, const yaml_event_t *event, int depth) {
    const yaml_char_t *tag = NULL, *anchor = NULL;
    if (depth == YAML_DEPTH) {
        FAIL_MARK(reader, event->start_mark, "nested deeper than %d levels", YAML_DEPTH);
    }
    switch (event->type) {
    case YAML_ALIAS_EVENT: return read_alias(node, reader, event, depth);
    case YAML_SCALAR_EVENT:
        tag = event->data.scalar.tag;
        anchor = event->data.scalar.anchor;
        TRY(read_scalar(node, reader, event));
        break;
    case YAML_SEQUENCE_START_EVENT:
        tag = event->data.sequence_start.tag;
        anchor = event->data.sequence_start.anchor;
        TRY(new_node(node, reader, NODE_LIST, event->start_mark));
        break;
    case YAML_MAPPING_START_EVENT:
        tag = event->data.mapping_start.tag;
        anchor = event->data.mapping_start.anchor;
        TRY(new_node(node, reader, NODE_MAPPING, event->start_mark));
        break;
    default: FAIL_MARK(reader, event->start_mark, "a value is missing");
    }
    if (tag != NULL) {
        FAIL_MARK(reader, event->start_mark, "the tag %s is not supported", (const char *)tag);
    }
    if ((*node)->kind == NODE_LIST || (*node)->kind == NODE_MAPPING) {
        TRY(read_entries(*node, reader, depth + 1));
    }
    return anchor != NULL ? keep_anchor(reader, anchor, *node) : STATUS_OK;
}

static status expect(struct reader *reader, yaml_event_type_t type, bool *found) {
    yaml_event_t event;
    TRY(next_event(&event, reader));
    *found = event.type == type;
    yaml_event_delete(&event);
    return STATUS_OK;
}

static status read_stream(struct node **root, struct reader *reader) {
    bool found;
    yaml_event_t event;
    TRY(expect(reader, YAML_STREAM_START_EVENT, &found));
    TRY(expect(reader, YAML_DOCUMENT_START_EVENT, &found));
    if (!found) { /* nothing but comments */
        return new_node(root, reader, NODE_NULL, (yaml_mark_t){0});
    }
    TRY(next_event(&event, reader));
    status result = read_node(root, reader, &event, 0);
    yaml_event_delete(&event);
    TRY(result);
    TRY(expect(reader, YAML_DOCUMENT_END_EVENT, &found));
    TRY(next_event(&event, reader));
    yaml_event_type_t type = event.type;
    yaml_mark_t mark = event.start_mark;
    yaml_event_delete(&event);
    if (type != YAML_STREAM_END_EVENT) {
        FAIL_MARK(reader, mark, "a second document in the file");
    }
    return STATUS_OK;
}

static status parse(struct document *document, struct node **root, const char *text, size_t size,
    const char *name, int first_column) {
    *root = NULL;
    if (size > YAML_FILE_LIMIT) {
        FAIL(STATUS_USAGE, "%s has %zu bytes, more than the limit of %zu", name, size,
            YAML_FILE_LIMIT);
    }
    struct reader *reader;
    char *file;
    TRY(pool_copy_text(&document->pool, &file, name, strlen(name)));
    TRY(MEMORY_ALLOCATE(&reader, 1));
    reader->document = document;
    reader->file = file;
    reader->first_column = first_column;
    status result = STATUS_OK;
    if (!yaml_parser_initialize(&reader->parser)) {
        FAIL_TO(done, result, STATUS_SYSTEM, "no memory to read %s", name);
    }
    yaml_parser_set_input_string(&reader->parser, (const yaml_char_t *)text, size);
    struct node *node = NULL;
    result = read_stream(&node, reader);
    yaml_parser_delete(&reader->parser);
    if (result == STATUS_OK) {
        *root = node;
    }
done:
    free(reader);
    return result;
}

status yaml_parse(struct document *document, struct node **root, const char *text, size_t size,
    const char *name) {
    return parse(document, root, text, size, name, 0);
}

status yaml_load(struct document *document, struct node **root, const char *path) {
    void *text;
    size_t size;
    *root = NULL;
    status result = file_read(&text, &size, path, YAML_FILE_LIMIT);
    if (result == STATUS_INPUT) {
        result = STATUS_USAGE; /* a folder, or too large: the user named the wrong thing */
    }
    TRY(result);
    result = yaml_parse(document, root, text, size, path);
    free(text);
    return result;
}

status yaml_override(struct document *document, const char *assignment) {
    const char *equals = strchr(assignment, '=');
    if (equals == NULL || equals == assignment) {
        FAIL(STATUS_USAGE, "command line: '%s' is not of the form key=value", assignment);
    }
    size_t length = (size_t)(equals - assignment);
    struct node *value;
    char *path;
    TRY(pool_copy_text(&document->pool, &path, assignment, length));
    TRY(parse(document, &value, equals + 1, strlen(equals + 1), "command line",
        length < 1 << 20 ? (int)length + 1 : 0));
    return document_set(document, path, value);
}

status yaml_relative_path(
    struct document *document, const char **path, const char *include, const char *from) {
    const char *slash = include[0] == '/' ? NULL : strrchr(from, '/');
    size_t folder = slash == NULL ? 0 : (size_t)(slash - from) + 1;
    size_t length = strlen(include);
    char *text;
    *path = NULL;
    TRY(pool_take(&document->pool, (void **)&text, folder + length + 1, 1));
    memcpy(text, from, folder);
    memcpy(text + folder, include, length + 1);
    *path = text;
    return STATUS_OK;
}
