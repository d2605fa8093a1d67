#include "profile.h"

#include <stdio.h>
#include <string.h>

status profile_read(struct profile *profile, const char *path, double speed) {
    memset(profile, 0, sizeof *profile);
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        FAIL(STATUS_USAGE, "%s: cannot be opened", path);
    }
    int read = 2;
    while (profile->parts < PROFILE_PARTS && read == 2) {
        double *seconds = &profile->seconds[profile->parts];
        size_t *floats = &profile->floats[profile->parts];
        read = fscanf(file, "%lf %zu", seconds, floats);
        if (read == 2 && *seconds >= 0.0) {
            *seconds /= speed;
            profile->vector_size += *floats;
            profile->parts++;
        }
    }
    fclose(file);
    if (read != EOF || profile->parts < 3 || profile->vector_size == 0) {
        FAIL(STATUS_USAGE, "%s:%d: no \"seconds floats\", or fewer than three lines of them", path,
            profile->parts + 1);
    }
    return STATUS_OK;
}
