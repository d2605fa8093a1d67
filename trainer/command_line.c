#include "trainer/command_line.h"

#include "trainer/launch.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#define NAMES_LIMIT 256
#define PLACE       "command line"

/* The option's name as a flag: every_steps becomes every-steps. */
static const char *flag_text(char *text, size_t size, const char *name) {
    snprintf(text, size, "%s", name);
    for (char *c = text; *c != '\0'; c++) {
        *c = *c == '_' ? '-' : *c;
    }
    return text;
}

static const struct option *find_option(
    const struct option *table, const char *name, size_t length) {
    for (; table != NULL && table->name != NULL; table++) {
        char flag[64];
        flag_text(flag, sizeof flag, table->name);
        if (strlen(flag) == length && strncmp(flag, name, length) == 0) {
            return table;
        }
    }
    return NULL;
}

static status unknown_flag(
    const struct command *command, const struct kind *kind, const char *flag, size_t length) {
    static char flags[NAMES_LIMIT][64];
    const char *names[NAMES_LIMIT];
    int count = 0;
    const struct option *tables[2] = {command->options, kind != NULL ? kind->options : NULL};
    for (int t = 0; t < 2; t++) {
        for (const struct option *o = tables[t]; o != NULL && o->name != NULL; o++) {
            if (count < NAMES_LIMIT) {
                names[count] = flag_text(flags[count], sizeof flags[count], o->name);
                count++;
            }
        }
    }
    char text[64];
    snprintf(text, sizeof text, "%.*s", (int)length, flag);
    const char *nearest = options_nearest(text, names, count);
    if (nearest != NULL) {
        FAIL(STATUS_USAGE, "unknown option --%s; did you mean --%s?", text, nearest);
    }
    FAIL(STATUS_USAGE, "unknown option --%s; `convoy help %s` lists them", text, command->name);
}

/* Adds `name: value` to a mapping. */
static status add_entry(
    struct document *document, struct node *mapping, const char *name, const char *value) {
    struct node *entry;
    TRY(pool_take(&document->pool, (void **)&entry, 1, sizeof *entry));
    entry->kind = NODE_SCALAR;
    entry->key = name;
    entry->text = value;
    entry->file = PLACE;
    struct node **end = &mapping->child;
    for (; *end != NULL; end = &(*end)->next) {
        if (strcmp((*end)->key, name) == 0) {
            FAIL(STATUS_USAGE, "the option --%s is given twice", name);
        }
    }
    *end = entry;
    return STATUS_OK;
}

static status make_mapping(struct document *document, struct node **mapping) {
    TRY(pool_take(&document->pool, (void **)mapping, 1, sizeof **mapping));
    (*mapping)->kind = NODE_MAPPING;
    (*mapping)->file = PLACE;
    return STATUS_OK;
}

/* What one command line is parsed into, and all its memory. */
struct parsed {
    struct command_line line;
    struct document document;
    const char **arguments;
    struct node *flags, *kind_flags;
    bool help;
};

static status parse_flag(struct parsed *parsed, const char *flag, const char *next, bool *used) {
    const struct command_line *line = &parsed->line;
    const char *equals = strchr(flag, '=');
    size_t length = equals != NULL ? (size_t)(equals - flag) : strlen(flag);
    struct node *mapping = parsed->flags;
    const struct option *option = find_option(line->command->options, flag, length);
    if (option == NULL && line->kind != NULL) {
        mapping = parsed->kind_flags;
        option = find_option(line->kind->options, flag, length);
    }
    if (option == NULL) {
        return unknown_flag(line->command, line->kind, flag, length);
    }
    const char *value = equals != NULL ? equals + 1 : NULL;
    if (value == NULL && option->type == OPTION_SWITCH) {
        value = "true";
    } else if (value == NULL) {
        if (next == NULL) {
            FAIL(STATUS_USAGE, "the option --%s needs a value: %s", flag, option->help);
        }
        value = next;
        *used = true;
    }
    return add_entry(&parsed->document, mapping, option->name, value);
}

static status find_kind(struct parsed *parsed, const char *name) {
    struct command_line *line = &parsed->line;
    line->kind = options_find(line->command->kinds, name);
    if (line->kind != NULL) {
        return STATUS_OK;
    }
    const char *names[NAMES_LIMIT];
    char list[512] = "";
    int count = 0;
    for (const struct kind *const *k = line->command->kinds; *k != NULL && count < NAMES_LIMIT;
         k++) {
        size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s%s", count > 0 ? ", " : "", (*k)->name);
        names[count++] = (*k)->name;
    }
    const char *nearest = options_nearest(name, names, count);
    FAIL(STATUS_USAGE, "unknown %s '%s'%s%s%s (known: %s)", line->command->kinds_what, name,
        nearest != NULL ? "; did you mean '" : "", nearest != NULL ? nearest : "",
        nearest != NULL ? "'?" : "", list);
}

/* Flags may stand anywhere, but a kind's own after the kind; "--" ends them. */
static status parse(struct parsed *parsed, int argc, char *const *argv) {
    struct command_line *line = &parsed->line;
    TRY(make_mapping(&parsed->document, &parsed->flags));
    TRY(make_mapping(&parsed->document, &parsed->kind_flags));
    TRY(MEMORY_ALLOCATE(&parsed->arguments, (size_t)argc + 1));
    line->arguments = parsed->arguments;
    bool flags_end = false;
    for (int i = 0; i < argc; i++) {
        const char *text = argv[i];
        if (!flags_end && (strcmp(text, "--help") == 0 || strcmp(text, "-h") == 0)) {
            parsed->help = true;
            return STATUS_OK;
        }
        if (!flags_end && strcmp(text, "--") == 0) {
            flags_end = true;
        } else if (!flags_end && strncmp(text, "--", 2) == 0) {
            bool used = false;
            TRY(parse_flag(parsed, text + 2, i + 1 < argc ? argv[i + 1] : NULL, &used));
            i += used;
        } else if (!flags_end && text[0] == '-' && text[1] != '\0') {
            FAIL(STATUS_USAGE, "unknown option %s; options are written --name", text);
        } else if (line->command->kinds != NULL && line->kind == NULL) {
            TRY(find_kind(parsed, text));
        } else {
            parsed->arguments[line->count++] = text;
        }
    }
    return STATUS_OK;
}

static status check_count(const struct command_line *line) {
    const struct command *command = line->command;
    bool few = line->count < command->fewest || (command->kinds != NULL && line->kind == NULL);
    bool many = command->most >= 0 && line->count > command->most;
    if (few || many) {
        FAIL(STATUS_USAGE, "too %s arguments; usage: convoy %s %s", few ? "few" : "many",
            command->name, command->arguments);
    }
    return STATUS_OK;
}

static status fill_options(struct parsed *parsed) {
    struct command_line *line = &parsed->line;
    struct pool *pool = &parsed->document.pool;
    const struct command *command = line->command;
    if (command->options != NULL) {
        TRY(pool_take(pool, &line->options, 1, command->options_size));
        TRY(options_parse(line->options, command->options, parsed->flags, pool));
    }
    if (line->kind != NULL && line->kind->options != NULL) {
        TRY(pool_take(pool, &line->kind_options, 1, line->kind->options_size));
        TRY(options_parse(line->kind_options, line->kind->options, parsed->kind_flags, pool));
    }
    return STATUS_OK;
}

static status run_command(int *code, const struct command *command, int argc, char *const *argv) {
    struct parsed parsed = {.line = {.command = command}};
    status result = STATUS_OK;
    if (!command->all_ranks && !launch_speaks()) {
        return STATUS_OK;
    }
    document_init(&parsed.document);
    TRY_TO(done, result, parse(&parsed, argc, argv));
    if (parsed.help) {
        if (launch_speaks()) {
            command_line_help(stdout, command);
        }
        goto done;
    }
    TRY_TO(done, result, check_count(&parsed.line));
    TRY_TO(done, result, fill_options(&parsed));
    TRY_TO(done, result, command->run(code, &parsed.line));
done:
    free(parsed.arguments);
    document_release(&parsed.document);
    return result;
}

int command_line_run(int argc, char *const *argv) {
    if (argc < 2) {
        if (launch_speaks()) {
            command_line_overview(stderr);
        }
        return EXIT_CODE_USAGE;
    }
    const char *name = argv[1];
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        name = "help";
    } else if (strcmp(name, "--version") == 0) {
        name = "version";
    }
    int code = EXIT_CODE_DONE;
    const struct command *command = NULL;
    status result = command_line_find(&command, name);
    if (result == STATUS_OK) {
        result = run_command(&code, command, argc - 2, argv + 2);
    }
    if (result == STATUS_OK && (fflush(stdout) != 0 || ferror(stdout))) {
        result = status_fail(STATUS_SYSTEM, __FILE__, __LINE__, __func__,
            "cannot write the results to standard output");
    }
    if (result != STATUS_OK) {
        launch_report(result);
        code = result == STATUS_USAGE ? EXIT_CODE_USAGE : EXIT_CODE_FAILED;
    }
    return code;
}

status command_line_find(const struct command **command, const char *name) {
    const char *names[NAMES_LIMIT];
    int count = 0;
    for (const struct command *const *c = commands; *c != NULL && count < NAMES_LIMIT; c++) {
        if (strcmp((*c)->name, name) == 0) {
            *command = *c;
            return STATUS_OK;
        }
        names[count++] = (*c)->name;
    }
    const char *nearest = options_nearest(name, names, count);
    if (nearest != NULL) {
        FAIL(STATUS_USAGE, "unknown command '%s'; did you mean '%s'?", name, nearest);
    }
    FAIL(STATUS_USAGE, "unknown command '%s'; `convoy help` lists them", name);
}

/* "--threads N", what a value looks like. */
static void print_flag(FILE *out, const struct option *option) {
    static const char *const values[] = {
        [OPTION_INTEGER] = " N",
        [OPTION_REAL] = " X",
        [OPTION_SWITCH] = "",
        [OPTION_TEXT] = " TEXT",
        [OPTION_BYTES] = " BYTES",
        [OPTION_NAME] = " NAME",
        [OPTION_PAIR] = " N",
        [OPTION_REALS] = " X",
        [OPTION_TEXTS] = " TEXT",
    };
    char flag[64], text[96];
    flag_text(flag, sizeof flag, option->name);
    snprintf(text, sizeof text, "--%s%s", flag,
        (size_t)option->type < sizeof values / sizeof values[0] ? values[option->type] : "");
    fprintf(out, "  %-22s %s", text, option->help);
    if (option->names != NULL) {
        fputs(" (", out);
        for (int i = 0; option->names[i] != NULL; i++) {
            fprintf(out, "%s%s", i > 0 ? ", " : "", option->names[i]);
        }
        fputs(")", out);
    }
    if (option->low < option->high) {
        fprintf(out, " (%g to %g)", option->low, option->high);
    }
    if (option->initial != NULL && option->type != OPTION_SWITCH) {
        fprintf(out, " [%s]", option->initial);
    }
    fputc('\n', out);
}

void command_line_help(FILE *out, const struct command *command) {
    fprintf(out, "usage: convoy %s%s%s%s\n\n%c%s.\n", command->name,
        command->arguments[0] != '\0' ? " " : "", command->arguments,
        command->options != NULL ? " [options]" : "", toupper((unsigned char)command->help[0]),
        command->help + 1);
    if (command->description != NULL) {
        fprintf(out, "\n%s\n", command->description);
    }
    fputs("\noptions:\n", out);
    for (const struct option *o = command->options; o != NULL && o->name != NULL; o++) {
        print_flag(out, o);
    }
    fprintf(out, "  %-22s %s\n", "--help", "print this");
    if (command->kinds == NULL) {
        return;
    }
    for (const struct kind *const *k = command->kinds; *k != NULL; k++) {
        fprintf(out, "\n%s %s: %s\n", command->kinds_what, (*k)->name, (*k)->help);
        for (const struct option *o = (*k)->options; o != NULL && o->name != NULL; o++) {
            print_flag(out, o);
        }
    }
}

void command_line_overview(FILE *out) {
    fputs("Convoy trains convolutional networks over MPI, with the same bits on any number of "
          "ranks.\n\n",
        out);
    for (const struct command *const *c = commands; *c != NULL; c++) {
        char text[96];
        snprintf(text, sizeof text, "%s %s", (*c)->name, (*c)->arguments);
        fprintf(out, "  convoy %-36s %s\n", text, (*c)->help);
    }
    fputs(
        "\n`convoy help COMMAND` says more. Exit codes: 0 done, 1 failed, 2 wrong use, 75 stopped "
        "by a signal\nafter a checkpoint (go on with --resume).\n",
        out);
}
