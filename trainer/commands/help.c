#include "base/options.h"
#include "trainer/command_line.h"
#include "trainer/recipe.h"
#include "worker/net.h"

#include <string.h>

struct help_options {
    bool markdown;
};

static const struct option options_table[] = {
    {"markdown", OPTION_SWITCH, offsetof(struct help_options, markdown),
        .help = "for recipe and model: as the pages of the reference in docs/"},
    OPTIONS_END};

static const struct option model_options[] = {
    {"layers", OPTION_CHOICES, 0, .kinds = layers, .help = "the layers, first to last"},
    OPTIONS_END};

/* What is no command but has tables of options all the same. */
static const struct topic {
    const char *name, *title;
    const struct option *table;
} topics[] = {
    {"recipe", "Keys of a recipe", recipe_options},
    {"model", "Layers of a model", model_options},
};

static status run(int *code, const struct command_line *line) {
    (void)code;
    const struct help_options *options = line->options;
    if (line->count == 0) {
        command_line_overview(stdout);
        return STATUS_OK;
    }
    for (size_t i = 0; i < sizeof topics / sizeof topics[0]; i++) {
        if (strcmp(line->arguments[0], topics[i].name) == 0) {
            if (options->markdown) {
                options_document(stdout, topics[i].table, topics[i].title);
            } else {
                printf("%s\n\n", topics[i].title);
                options_help(stdout, topics[i].table, 0);
            }
            return STATUS_OK;
        }
    }
    const struct command *command;
    TRY(command_line_find(&command, line->arguments[0]));
    command_line_help(stdout, command);
    return STATUS_OK;
}

const struct command command_help = {
    .name = "help",
    .arguments = "[COMMAND|recipe|model]",
    .help = "print this list, the help of a command, or the keys of a recipe or model",
    .most = 1,
    .options = options_table,
    .options_size = sizeof(struct help_options),
    .run = run,
};
