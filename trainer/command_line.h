/* From argv to a command that runs, and from its status to an exit code. */
#ifndef TRAINER_COMMAND_LINE_H
#define TRAINER_COMMAND_LINE_H

#include "trainer/commands/command.h"

#include <stdio.h>

/* Parses, runs, reports a failure in one line on stderr; returns the exit code. */
int command_line_run(int argc, char *const *argv);

/* "usage: convoy import FORMAT SOURCE DATASET [options]" and the flags, as --help prints it. */
void command_line_help(FILE *out, const struct command *command);

/* The list of all commands. */
void command_line_overview(FILE *out);

/* The command called `name`; fails with STATUS_USAGE, naming the nearest one. */
status command_line_find(const struct command **command, const char *name);

#endif
