#include "base/options.h"
#include "base/options_describe.h"

#include <ctype.h>
#include <stdbool.h>

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

/* Families of kinds met on the way: each is written once, after the tables that choose from it. */
#define FAMILIES_LIMIT 32
struct families {
    struct {
        const char *name;
        const struct kind *const *kinds;
        bool changing;
    } list[FAMILIES_LIMIT];
    int count;
};

static void add_family(struct families *families, const struct option *option, bool changing) {
    for (int i = 0; i < families->count; i++) {
        if (families->list[i].kinds == option->kinds) {
            return;
        }
    }
    if (families->count < FAMILIES_LIMIT) {
        families->list[families->count].name = option->name;
        families->list[families->count].kinds = option->kinds;
        families->list[families->count].changing = changing;
        families->count++;
    }
}

static void write_heading(
    FILE *out, int level, const char *before, const char *name, const char *after) {
    fprintf(out, "%.*s %s%s%s\n\n", level < 6 ? level : 6, "######", before, name, after);
}

static void write_sentence(FILE *out, const char *help) {
    fprintf(out, "%c%s.\n\n", toupper((unsigned char)help[0]), help + 1);
}

static void document_table(
    FILE *out, const struct option *table, bool changing, int level, struct families *families) {
    int count = options_count(table);
    if (count > 0) {
        fputs("| key | value | default | changes bits | meaning |\n"
              "| --- | --- | --- | --- | --- |\n",
            out);
    }
    for (int i = 0; i < count; i++) {
        write_row(out, &table[i], changing);
    }
    fputs(count > 0 ? "\n" : "", out);
    for (int i = 0; i < count; i++) {
        const struct option *option = &table[i];
        bool inside = changing || (option->flags & OPTION_CHANGES_BITS) != 0;
        if (option->type == OPTION_GROUP) {
            write_heading(out, level + 1, "`", option->name, "`");
            write_sentence(out, option->help);
            document_table(out, option->table, inside, level + 1, families);
        } else if (option->kinds != NULL) {
            add_family(families, option, inside);
        }
    }
}

static void document_kinds(FILE *out, const struct kind *const *kinds, bool changing, int level,
    struct families *families) {
    for (int i = 0; i < kinds_count(kinds); i++) {
        write_heading(out, level + 1, "`", kinds[i]->name, "`");
        write_sentence(out, kinds[i]->help);
        document_table(out, kinds[i]->options, changing, level + 1, families);
    }
}

static void document_families(FILE *out, struct families *families) {
    /* A family may bring another. */
    for (int i = 0; i < families->count; i++) {
        write_heading(out, 2, "Kinds of `", families->list[i].name, "`");
        document_kinds(out, families->list[i].kinds, families->list[i].changing, 2, families);
    }
}

void options_document(FILE *out, const struct option *table, const char *title) {
    struct families families = {.count = 0};
    write_heading(out, 2, "", title, "");
    document_table(out, table, false, 2, &families);
    document_families(out, &families);
}

void options_document_kinds(
    FILE *out, const struct kind *const *kinds, const char *title, int flags) {
    struct families families = {.count = 0};
    write_heading(out, 2, "", title, "");
    document_kinds(out, kinds, (flags & OPTION_CHANGES_BITS) != 0, 2, &families);
    document_families(out, &families);
}
