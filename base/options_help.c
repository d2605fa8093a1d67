#include "base/options.h"
#include "base/options_describe.h"

static void help_option(FILE *out, const struct option *option, int indent) {
    char type[768];
    fprintf(out, "%*s%-*s ", indent, "", indent < 22 ? 22 - indent : 1, option->name);
    if (option->type == OPTION_CHOICE || option->type == OPTION_CHOICES) {
        fputs(option->type == OPTION_CHOICE ? "one of those below" : "list of those below", out);
    } else {
        fputs(option_type_text(type, sizeof type, option), out);
    }
    if (option->flags & OPTION_REQUIRED) {
        fputs(", required", out);
    } else if (option->initial != NULL) {
        fprintf(out, ", default %s", option->initial);
    }
    fprintf(out, ": %s\n", option->help);
}

void options_help(FILE *out, const struct option *table, int indent) {
    for (int i = 0; i < options_count(table); i++) {
        const struct option *option = &table[i];
        help_option(out, option, indent);
        if (option->type == OPTION_GROUP) {
            options_help(out, option->table, indent + 2);
        }
        for (int k = 0; k < kinds_count(option->kinds); k++) {
            const struct kind *kind = option->kinds[k];
            fprintf(out, "%*s%-*s %s\n", indent + 2, "", indent < 20 ? 20 - indent : 1, kind->name,
                kind->help);
            options_help(out, kind->options, indent + 4);
        }
    }
}
