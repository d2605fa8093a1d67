#include "trainer/command_line.h"
#include "trainer/launch.h"

int main(int argc, char **argv) {
    launch_settle(argc, argv);
    return command_line_run(argc, argv);
}
