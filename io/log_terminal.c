#include "io/log.h"

#include <unistd.h>

bool log_is_terminal(int descriptor) {
    return isatty(descriptor) == 1;
}
