/* A tree of scalars, lists and mappings with the place each came from: what a YAML file becomes.
 * io/yaml.h reads and writes it; base/options.h turns it into checked values; worker/ builds
 * networks from it. All nodes live in the document's pool and die with it.
 */
#ifndef BASE_DOCUMENT_H
#define BASE_DOCUMENT_H

#include "base/memory.h"
#include "base/status.h"

#include <stdbool.h>
#include <stdio.h>

enum node_kind { NODE_NULL, NODE_SCALAR, NODE_LIST, NODE_MAPPING };

struct node {
    enum node_kind kind;
    bool quoted;        /* a scalar in quotes: always text, never a number or null */
    const char *text;   /* NODE_SCALAR: the text */
    const char *key;    /* the key, where the parent is a mapping */
    struct node *child; /* first entry of a list or mapping */
    struct node *next;  /* next entry of the parent */
    const char *file;   /* where it stands; "command line" for an override */
    int line, column;   /* from 1; of the key for an entry of a mapping; 0: unknown */
};

struct document {
    struct pool pool;
    struct node *root;
};

void document_init(struct document *document);
void document_release(struct document *document);

/* The entry named `key`, or NULL; NULL too where `node` is NULL or no mapping. */
const struct node *node_get(const struct node *node, const char *key);

/* Number of entries of a list or mapping. */
int node_count(const struct node *node);

/* Sets the node at a dotted path ("train.batch") below `document->root`, making mappings on the
 * way; replaces what was there. `value` must live in the document's pool. A number as a step of
 * the path picks an entry of a list. Fails with STATUS_USAGE where the path runs through a scalar
 * or past the end of a list. */
status document_set(struct document *document, const char *path, struct node *value);

/* A deep copy into another document's pool. */
status node_copy(struct document *document, struct node **copy, const struct node *node);

/* Writes "file:line:column" into text[size], or the file alone where the line is 0; returns text.
 */
const char *node_place(const struct node *node, char *text, size_t size);

/* Writes a node and everything below it as YAML (block style), indented by `indent`. */
void node_write(FILE *out, const struct node *node, int indent);

/* Writes one text as a YAML scalar: plain where it reads back as the same text, else in double
 * quotes. `quoted` = false leaves numbers, true/false and null plain, as they stood in a file. */
void node_write_text(FILE *out, const char *text, bool quoted);

/* FAIL at a node: the message starts with its place (no place where the node is NULL). */
#define FAIL_AT(node, code, ...)                                                                   \
    return status_fail_at((node), (code), __FILE__, __LINE__, __func__, __VA_ARGS__)
status status_fail_at(const struct node *node, status code, const char *file, int line,
    const char *function, const char *format, ...) __attribute__((format(printf, 6, 7)));

#endif
