#include "trainer/version.h"
#include "trainer/commands/command.h"

#include <stdio.h>

static status run(int *code, const struct command_line *line) {
    (void)code, (void)line;
    printf("convoy %s (%s)\n", version_number(), version_identity());
    return STATUS_OK;
}

const struct command command_version = {
    .name = "version",
    .arguments = "",
    .help = "print version and identity of the build",
    .description = "Two programs with the same identity compute the same bits.",
    .run = run,
};
