#include "trainer/commands/command.h"

extern const struct command command_bench, command_doctor, command_evaluate, command_help,
    command_import, command_inspect, command_predict, command_train, command_version;

const struct command *const commands[] = {
    &command_import,
    &command_train,
    &command_evaluate,
    &command_predict,
    &command_inspect,
    &command_bench,
    &command_doctor,
    &command_help,
    &command_version,
    NULL,
};
