/* Recipes and models on disk: YAML through libyaml into a base document. (node_write of
 * base/options.h is the way back.)
 *
 * Anchors and aliases are accepted: an alias becomes a copy, whose nodes below its root keep the
 * place of the anchor. Tags, merge keys (<<), keys that are not plain names, a key given twice, and
 * more than one document in a file are refused. An unquoted empty value, ~ or null is a NODE_NULL;
 * a file without any value has a NODE_NULL for its root. The limits below hold with aliases written
 * out, so that a small file cannot become a large document.
 */
#ifndef IO_YAML_H
#define IO_YAML_H

#include "base/document.h"

#include <stddef.h>

#define YAML_FILE_LIMIT ((size_t)16 << 20) /* bytes */
#define YAML_NODES      (1 << 18)          /* values and keys of one file */
#define YAML_DEPTH      64                 /* levels; a scalar is one */
#define YAML_ANCHORS    256

/* Reads `path` into a fresh node of `document`'s pool. Nodes remember `path` as their file. Fails
 * with STATUS_NOT_FOUND, STATUS_SYSTEM, or STATUS_USAGE with file:line:column. On failure *root is
 * NULL; what was taken from the pool goes with the document. */
status yaml_load(struct document *document, struct node **root, const char *path);

/* The same from memory; `name` stands for the file in messages. */
status yaml_parse(
    struct document *document, struct node **root, const char *text, size_t size, const char *name);

/* Applies "a.b.c=value" to the document's root: the value is YAML itself ("[1, 2]", "{sgd: {}}").
 * The key's path may name entries of lists by number (see document_set). Nodes of the value have
 * the file "command line", line 1, and the column within the assignment. Fails with STATUS_USAGE.
 */
status yaml_override(struct document *document, const char *assignment);

/* The path of `include` as seen from the folder of the file `from`: absolute paths stay. Writes a
 * pool-owned text. */
status yaml_relative_path(
    struct document *document, const char **path, const char *include, const char *from);

#endif
