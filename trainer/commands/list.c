#include "trainer/commands/command.h"

extern const struct command command_doctor, command_help, command_version;

const struct command *const commands[] = {
    &command_doctor,
    &command_help,
    &command_version,
    NULL,
};
