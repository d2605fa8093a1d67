/* Folders of pictures, one folder a class: SOURCE/<class>/<file>, classes and files in bytewise
 * order. Names that start with a dot are passed over.
 */
#ifndef SHARD_CLASS_FOLDERS_H
#define SHARD_CLASS_FOLDERS_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct class_folder {
    char *name; /* of the class */
    char *path;
    char **files; /* names in the folder */
    size_t count;
};

struct class_folders {
    struct class_folder *classes;
    int count;
    int64_t files; /* in all classes */
};

/* Lists. Fails with STATUS_INPUT where there is no class folder, or no file in any. */
status class_folders_read(struct class_folders *folders, const char *source);
void class_folders_release(struct class_folders *folders);

/* Whether a folder holds another one. */
bool class_folders_exist(const char *source);

#endif
