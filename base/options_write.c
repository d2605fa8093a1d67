#include "base/number.h"
#include "base/options.h"
#include "base/options_describe.h"

#include <inttypes.h>
#include <string.h>

/* Whether anything in the table is written under `flags`: a group or choice with nothing in it is
 * left out whole. */
static bool table_writes(const struct option *table, const void *values, int flags);

static bool has_initial_value(const struct option *option, const void *field) {
    char text[NUMBER_TEXT];
    switch (option->type) {
    case OPTION_INTEGER: snprintf(text, sizeof text, "%" PRId64, *(const int64_t *)field); break;
    case OPTION_REAL: number_text(text, *(const double *)field); break;
    case OPTION_SWITCH:
        return *(const bool *)field ==
               (option->initial != NULL && strcmp(option->initial, "true") == 0);
    case OPTION_NAME: return strcmp(option->names[*(const int *)field], option->initial) == 0;
    default: return false;
    }
    return option->initial != NULL && strcmp(text, option->initial) == 0;
}

static bool option_writes(const struct option *option, const void *values, int flags) {
    const char *field = (const char *)values + option->offset;
    const int wanted = flags & OPTION_CHANGES_BITS;
    if ((option->flags & flags & OPTION_ADDED) && has_initial_value(option, field)) {
        return false;
    }
    if ((option->flags & wanted) == wanted) {
        return true;
    }
    if (option->type == OPTION_GROUP) {
        return table_writes(option->table, field, flags);
    }
    if (option->type == OPTION_CHOICE) {
        const struct choice *choice = (const void *)field;
        return choice->kind != NULL && table_writes(choice->kind->options, choice->values, flags);
    }
    if (option->type == OPTION_CHOICES) {
        const struct choices *choices = (const void *)field;
        for (int i = 0; i < choices->count; i++) {
            const struct choice *choice = &choices->items[i];
            if (table_writes(choice->kind->options, choice->values, flags)) {
                return true;
            }
        }
    }
    return false;
}

static bool table_writes(const struct option *table, const void *values, int flags) {
    for (int i = 0; i < options_count(table); i++) {
        if (option_writes(&table[i], values, flags)) {
            return true;
        }
    }
    return false;
}

/* After the indent and what stands before the kind: "sgd" or "sgd:" and its options. */
static void write_choice(FILE *out, const struct choice *choice, int indent, int flags) {
    bool has_options = table_writes(choice->kind->options, choice->values, flags);
    fprintf(out, "%s%s\n", choice->kind->name, has_options ? ":" : "");
    if (has_options) {
        options_write(out, choice->values, choice->kind->options, indent + 2, flags);
    }
}

static void write_choices(FILE *out, const struct choices *choices, int indent, int flags) {
    if (choices->count == 0) {
        fputs(" []\n", out);
        return;
    }
    fputc('\n', out);
    for (int i = 0; i < choices->count; i++) {
        fprintf(out, "%*s- ", indent, "");
        write_choice(out, &choices->items[i], indent + 2, flags);
    }
}

static void write_node(FILE *out, const struct node *node, int indent) {
    if (node == NULL) {
        fputs(" null\n", out);
    } else if (node->kind == NODE_SCALAR || node->child == NULL) {
        fputc(' ', out);
        node_write(out, node, 0);
    } else {
        fputc('\n', out);
        node_write(out, node, indent);
    }
}

static void write_reals(FILE *out, const struct option_reals *reals) {
    char text[NUMBER_TEXT];
    fputs(" [", out);
    for (int i = 0; i < reals->count; i++) {
        fprintf(out, "%s%s", i > 0 ? ", " : "", number_text(text, reals->values[i]));
    }
    fputs("]\n", out);
}

static void write_texts(FILE *out, const struct option_texts *texts) {
    fputs(" [", out);
    for (int i = 0; i < texts->count; i++) {
        fputs(i > 0 ? ", " : "", out);
        node_write_text(out, texts->values[i], true);
    }
    fputs("]\n", out);
}

static void write_pair(FILE *out, const int64_t pair[2]) {
    if (pair[0] == pair[1]) {
        fprintf(out, " %" PRId64 "\n", pair[0]);
    } else {
        fprintf(out, " [%" PRId64 ", %" PRId64 "]\n", pair[0], pair[1]);
    }
}

static void write_text(FILE *out, const char *text) {
    fputc(' ', out);
    if (text == NULL) {
        fputs("null", out);
    } else {
        node_write_text(out, text, true);
    }
    fputc('\n', out);
}

static void write_option(
    FILE *out, const void *values, const struct option *option, int indent, int flags) {
    const void *field = (const char *)values + option->offset;
    char text[NUMBER_TEXT];
    fprintf(out, "%*s%s:", indent, "", option->name);
    switch (option->type) {
    case OPTION_INTEGER: fprintf(out, " %" PRId64 "\n", *(const int64_t *)field); break;
    case OPTION_REAL: fprintf(out, " %s\n", number_text(text, *(const double *)field)); break;
    case OPTION_SWITCH: fputs(*(const bool *)field ? " true\n" : " false\n", out); break;
    case OPTION_TEXT: write_text(out, *(const char *const *)field); break;
    case OPTION_BYTES:
        fprintf(out, " %s\n", number_bytes_text(text, *(const int64_t *)field));
        break;
    case OPTION_NAME: write_text(out, option->names[*(const int *)field]); break;
    case OPTION_PAIR: write_pair(out, field); break;
    case OPTION_REALS: write_reals(out, field); break;
    case OPTION_TEXTS: write_texts(out, field); break;
    case OPTION_GROUP:
        fputc('\n', out);
        options_write(out, field, option->table, indent + 2, flags);
        break;
    case OPTION_CHOICE: {
        const struct choice *choice = field;
        if (choice->kind == NULL) {
            fputs(" null\n", out);
        } else if (!table_writes(choice->kind->options, choice->values, flags)) {
            fprintf(out, " %s\n", choice->kind->name);
        } else {
            fprintf(out, "\n%*s", indent + 2, "");
            write_choice(out, choice, indent + 2, flags);
        }
        break;
    }
    case OPTION_CHOICES: write_choices(out, field, indent + 2, flags); break;
    case OPTION_NODE: write_node(out, *(const struct node *const *)field, indent + 2); break;
    }
}

void options_write(
    FILE *out, const void *values, const struct option *table, int indent, int flags) {
    for (int i = 0; i < options_count(table); i++) {
        if (option_writes(&table[i], values, flags)) {
            /* What is written as a whole is written with all that is in it. */
            bool whole = (table[i].flags & OPTION_CHANGES_BITS) != 0;
            write_option(
                out, values, &table[i], indent, whole ? flags & ~OPTION_CHANGES_BITS : flags);
        }
    }
}
