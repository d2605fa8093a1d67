#include "shard/class_folders.h"

#include "base/memory.h"
#include "io/file.h"

#include <stdlib.h>
#include <string.h>

/* Drops the names that start with a dot, which sort where they like. */
static void drop_hidden(char **names, size_t *count) {
    size_t kept = 0;
    for (size_t i = 0; i < *count; i++) {
        if (names[i][0] == '.') {
            free(names[i]);
        } else {
            names[kept++] = names[i];
        }
    }
    *count = kept;
}

static status list_visible(char ***names, size_t *count, const char *path) {
    TRY(folder_names(names, count, path));
    drop_hidden(*names, count);
    return STATUS_OK;
}

/* Takes `name` where it is a folder. */
static status add_class(struct class_folders *folders, const char *source, const char *name) {
    char *path;
    TRY(path_join(&path, source, name));
    if (!folder_exists(path)) {
        free(path);
        return STATUS_OK;
    }
    struct class_folder *class = &folders->classes[folders->count++];
    class->path = path;
    TRY(memory_copy_text(&class->name, name));
    TRY(list_visible(&class->files, &class->count, path));
    folders->files += (int64_t) class->count;
    return STATUS_OK;
}

status class_folders_read(struct class_folders *folders, const char *source) {
    char **names = NULL;
    size_t count = 0;
    *folders = (struct class_folders){0};
    if (!folder_exists(source)) {
        FAIL(STATUS_NOT_FOUND, "%s: no such folder", source);
    }
    status result;
    TRY_TO(done, result, list_visible(&names, &count, source));
    TRY_TO(done, result, MEMORY_ALLOCATE(&folders->classes, count));
    for (size_t i = 0; i < count; i++) {
        TRY_TO(done, result, add_class(folders, source, names[i]));
    }
    if (folders->count == 0 || folders->files == 0) {
        FAIL_TO(done, result, STATUS_INPUT,
            "%s: holds no pictures: they must lie in one folder a class, SOURCE/<class>/<file>",
            source);
    }
done:
    if (names != NULL) {
        folder_names_release(names, count);
    }
    if (result != STATUS_OK) {
        class_folders_release(folders);
    }
    return result;
}

void class_folders_release(struct class_folders *folders) {
    for (int i = 0; i < folders->count; i++) {
        struct class_folder *class = &folders->classes[i];
        free(class->name);
        free(class->path);
        if (class->files != NULL) {
            folder_names_release(class->files, class->count);
        }
    }
    free(folders->classes);
    *folders = (struct class_folders){0};
}

bool class_folders_exist(const char *source) {
    char **names;
    size_t count;
    bool found = false;
    if (!folder_exists(source) || list_visible(&names, &count, source) != STATUS_OK) {
        return false;
    }
    for (size_t i = 0; i < count && !found; i++) {
        char *path;
        if (path_join(&path, source, names[i]) == STATUS_OK) {
            found = folder_exists(path);
            free(path);
        }
    }
    folder_names_release(names, count);
    return found;
}
