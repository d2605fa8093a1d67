/* What kind of file system a path lies on. */
#ifndef IO_FILE_SYSTEM_H
#define IO_FILE_SYSTEM_H

#include "base/status.h"

#include <stdbool.h>

struct file_system {
    const char *name; /* "ext4", "nfs"; "unknown" */
    bool network;     /* every read may cross a network */
};

/* Fails with STATUS_NOT_FOUND. */
status file_system_find(struct file_system *found, const char *path);

#endif
