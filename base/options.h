/* Option tables: one table gives parsing, range errors, --help, the reference page in docs/, the
 * resolved recipe, and the digest on which ranks agree.
 *
 * A struct of values has a table of its fields:
 *
 *     struct conv_options { int64_t out; int64_t kernel[2]; bool bias; };
 *     static const struct option conv_options[] = {
 *         {"out", OPTION_INTEGER, offsetof(struct conv_options, out), .low = 1, .high = 65536,
 *             .flags = OPTION_REQUIRED | OPTION_CHANGES_BITS, .help = "output channels"},
 *         {"kernel", OPTION_PAIR, ..., .initial = "3", .help = "height and width, or one for
 * both"}, OPTIONS_END};
 *
 * A thing of which there are several kinds (a layer, a loss, a schedule, a transform) starts with a
 * struct kind; its folder has one list of pointers to kinds. In a file it reads `name` or
 * `name: {options}`.
 */
#ifndef BASE_OPTIONS_H
#define BASE_OPTIONS_H

#include "base/document.h"

#include <stdint.h>
#include <stdio.h>

enum option_type {
    OPTION_INTEGER, /* int64_t; "1e6" and "64k" are no integers */
    OPTION_REAL,    /* double */
    OPTION_SWITCH,  /* bool: true/false, yes/no, on/off */
    OPTION_TEXT,    /* const char *; NULL where absent and without an initial value */
    OPTION_BYTES,   /* int64_t: 4 MiB, 512 KiB, 1 GiB, or plain bytes */
    OPTION_NAME,    /* int: index into `names` */
    OPTION_PAIR,    /* int64_t[2]: one number for both, or a list of two (height, width) */
    OPTION_REALS,   /* struct option_reals: a list of numbers, or one number */
    OPTION_TEXTS,   /* struct option_texts: a list of texts, or one text */
    OPTION_GROUP,   /* a nested struct with its own table `table`; anything but a mapping sets its
                       first option */
    OPTION_CHOICE,  /* struct choice: one of `kinds` */
    OPTION_CHOICES, /* struct choices: a list of them */
    OPTION_NODE     /* const struct node *: left to the owner (the layers of a model) */
};

enum option_flags {
    OPTION_REQUIRED = 1,
    OPTION_CHANGES_BITS = 2, /* enters checkpoint and digest; everything else never does. On a
                                group or choice it goes for everything in it */
    OPTION_ADDED = 4         /* came after checkpoints were written without it: options_write can
                                leave it out where it has its initial value, so that these go on.
                                For numbers, switches and names */
};

struct option_reals {
    int count;
    const double *values;
};
struct option_texts {
    int count;
    const char *const *values;
};

/* First member of every struct of operations that can be chosen by name. */
struct kind {
    const char *name;
    const char *help;             /* one line */
    const struct option *options; /* table of its options, or NULL */
    size_t options_size;          /* sizeof the struct of values */
};

/* A chosen kind and its values. `values` lives in the pool given to options_parse. */
struct choice {
    const struct kind *kind; /* NULL where absent */
    void *values;
    const struct node *node; /* where it stands, for messages of the owner */
};
struct choices {
    int count;
    struct choice *items;
};

struct option {
    const char *name;
    enum option_type type;
    size_t offset;
    const char *initial;             /* default as it would be written (a scalar, or a list of
                                        scalars in brackets); NULL: zero or absent */
    double low, high;                /* range of numbers, both included; both 0: any */
    int flags;                       /* enum option_flags */
    const char *help;                /* one line */
    const char *const *names;        /* OPTION_NAME: NULL-terminated */
    const struct option *table;      /* OPTION_GROUP */
    const struct kind *const *kinds; /* OPTION_CHOICE(S): NULL-terminated */
};

#define OPTIONS_END                                                                                \
    { .name = NULL }

/* Fills `values` from a mapping (NULL or a null node: all defaults). Texts point into the node's
 * document; lists and choices are taken from `pool`. A key whose value is null has its default.
 * Errors are STATUS_USAGE and name file, line, column, key, value and range; an unknown key or kind
 * names the nearest known one. */
status options_parse(
    void *values, const struct option *table, const struct node *mapping, struct pool *pool);

/* One choice from a node that is a scalar "name" or a mapping {name: options}, where options that
 * are no mapping set the kind's first option ("dropout: 0.5"). `what` names the family in messages
 * ("layer", "schedule"). */
status options_parse_choice(struct choice *choice, const struct kind *const *kinds,
    const struct node *node, const char *what, struct pool *pool);

/* The kind called `name`, or NULL. */
const struct kind *options_find(const struct kind *const *kinds, const char *name);

/* Writes the values as YAML, complete and in the order of the table, indented by `indent`.
 * `flags` = OPTION_CHANGES_BITS writes only what changes bits, and OPTION_ADDED leaves out what was
 * added and has its initial value: both make the canonical text that is hashed and kept in
 * checkpoints. Numbers are written with the fewest digits that read back the same.
 * OPTION_NODE values are written as the document tree they are. */
void options_write(
    FILE *out, const void *values, const struct option *table, int indent, int flags);

/* For --help: one line an option (name, type, range, default, help). */
void options_help(FILE *out, const struct option *table, int indent);

/* For docs/: Markdown with a table of the options, then of every group, then of every kind of each
 * choice in it, each family of kinds once. Headings start at the second level. */
void options_document(FILE *out, const struct option *table, const char *title);

/* The same for a list of kinds; `flags` = OPTION_CHANGES_BITS marks all their options. */
void options_document_kinds(
    FILE *out, const struct kind *const *kinds, const char *title, int flags);

/* The nearest of `count` names to `name` by edit distance, or NULL where none is near. */
const char *options_nearest(const char *name, const char *const *names, int count);

#endif
