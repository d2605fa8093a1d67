/* Recipes and models on disk: YAML through libyaml into a base document, and back.
 *
 * Anchors and aliases are accepted, tags and more than one document in a file are not. A key given
 * twice is an error. Depth is limited to 64 and a file to 16 MiB.
 */
#ifndef IO_YAML_H
#define IO_YAML_H

#include "base/document.h"

#include <stdio.h>

/* Reads `path` into a fresh node of `document`'s pool. Nodes remember `path` as their file. Fails
 * with STATUS_NOT_FOUND, STATUS_SYSTEM, or STATUS_USAGE with file:line:column. */
status yaml_load(struct document *document, struct node **root, const char *path);

/* The same from memory; `name` stands for the file in messages. */
status yaml_parse(
    struct document *document, struct node **root, const char *text, size_t size, const char *name);

/* Applies "a.b.c=value" to the document's root: the value is YAML itself ("[1, 2]", "{sgd: {}}").
 * The key's path may name entries of lists by number. Fails with STATUS_USAGE. */
status yaml_override(struct document *document, const char *assignment);

/* The path of `include` as seen from the folder of the file `from`: absolute paths stay. Writes a
 * pool-owned text. */
status yaml_relative_path(
    struct document *document, const char **path, const char *include, const char *from);

#endif
