#include "io/log.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool log_is_terminal(int descriptor) {
    const char *kind = getenv("TERM");
    return isatty(descriptor) == 1 && kind != NULL && strcmp(kind, "dumb") != 0;
}

/* https://no-color.org: any text but the empty one. */
bool log_has_colour(int descriptor) {
    const char *none = getenv("NO_COLOR");
    return log_is_terminal(descriptor) && (none == NULL || none[0] == '\0');
}
