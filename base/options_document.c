#include "base/options.h"
#include "base/options_describe.h"

#include <string.h>

/* A cell of a Markdown table must not hold a bar or a line break. */
static void write_cell(FILE *out, const char *text) {
    for (; *text != '\0'; text++) {
        if (*text == '|') {
            fputc('\\', out);
        }
        fputc(*text == '\n' ? ' ' : *text, out);
    }
}

static void write_row(FILE *out, const struct option *option, bool in_changing) {
    char type[768];
    fprintf(out, "| `%s` | ", option->name);
    write_cell(out, option_type_text(type, sizeof type, option));
    fputs(" | ", out);
    if (option->flags & OPTION_REQUIRED) {
        fputs("*required*", out);
    } else if (option->initial != NULL) {
        fprintf(out, "`%s`", option->initial);
    } else if (option->type == OPTION_INTEGER || option->type == OPTION_REAL ||
               option->type == OPTION_BYTES || option->type == OPTION_PAIR) {
        fputs("`0`", out);
    } else if (option->type == OPTION_SWITCH) {
        fputs("`false`", out);
    } else if (option->type == OPTION_NAME) {
        fprintf(out, "`%s`", option->names[0]);
    }
    bool changing = in_changing || (option->flags & OPTION_CHANGES_BITS) != 0;
    fprintf(out, " | %s | ", changing ? "yes" : "");
    write_cell(out, option->help);
    fputs(" |\n", out);
}

/* `heading`: 1 to 6, the number of # before the title. */
static void document_table(FILE *out, const struct option *table, const char *title,
    const char *help, bool changing, int heading) {
    int count = options_count(table);
    fprintf(out, "%.*s %s\n\n", heading, "######", title);
    if (help != NULL) {
        fprintf(out, "%s.\n\n", help);
    }
    if (count > 0) {
        fputs("| key | value | default | changes bits | meaning |\n"
              "| --- | --- | --- | --- | --- |\n",
            out);
    }
    for (int i = 0; i < count; i++) {
        write_row(out, &table[i], changing);
    }
    fputs(count > 0 ? "\n" : "", out);
    int below = heading < 6 ? heading + 1 : heading;
    for (int i = 0; i < count; i++) {
        const struct option *option = &table[i];
        bool inside = changing || (option->flags & OPTION_CHANGES_BITS) != 0;
        char name[256];
        if (option->type == OPTION_GROUP) {
            snprintf(name, sizeof name, "`%s`", option->name);
            document_table(out, option->table, name, option->help, inside, below);
        }
        for (int k = 0; k < kinds_count(option->kinds); k++) {
            const struct kind *kind = option->kinds[k];
            snprintf(name, sizeof name, "`%s: %s`", option->name, kind->name);
            document_table(out, kind->options, name, kind->help, inside, below);
        }
    }
}

void options_document(FILE *out, const struct option *table, const char *title) {
    document_table(out, table, title, NULL, false, 2);
}
