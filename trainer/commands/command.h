/* The commands of the program: one file each in trainer/commands/, registered in list.c.
 *
 * A command's flags are an option table (base/options.h): `--every-steps 5` is the option
 * `every_steps`, a switch needs no value. Parsing, range errors and --help come from the table.
 * Results go to stdout, everything else to stderr; under mpirun rank 0 alone speaks.
 */
#ifndef TRAINER_COMMANDS_COMMAND_H
#define TRAINER_COMMANDS_COMMAND_H

#include "base/options.h"

/* Exit codes of the program. */
enum exit_code {
    EXIT_CODE_DONE = 0,
    EXIT_CODE_FAILED = 1,
    EXIT_CODE_USAGE = 2,
    EXIT_CODE_STOPPED = 75, /* stopped by a signal after a checkpoint: resume me (EX_TEMPFAIL) */
};

struct command;

/* What the user typed, parsed. */
struct command_line {
    const struct command *command;
    void *options;           /* values of command->options */
    const struct kind *kind; /* commands with `kinds`: the chosen one and its options */
    void *kind_options;
    int count; /* arguments, without the name of the kind */
    const char *const *arguments;
};

struct command {
    const char *name;
    const char *arguments;           /* "RECIPE [key=value ...]" */
    const char *help;                /* one line */
    const char *description;         /* a paragraph for --help; NULL: none */
    int fewest, most;                /* arguments; most = -1: any number */
    const struct option *options;    /* flags, or NULL */
    size_t options_size;             /* sizeof the struct of values */
    const struct kind *const *kinds; /* the first argument names one of these, whose options are
                                        flags too; NULL: no such argument */
    const char *kinds_what;          /* "format", for messages */
    bool all_ranks; /* runs on every rank under mpirun; the others run on rank 0 alone */
    /* `*code` is EXIT_CODE_DONE before the call; on failure the status decides. */
    status (*run)(int *code, const struct command_line *line);
};

extern const struct command *const commands[]; /* NULL-terminated */

#endif
