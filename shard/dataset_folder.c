#include "shard/dataset_folder.h"

#include "base/memory.h"
#include "io/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Whether the importer writes files of that name: nothing else is ever deleted. */
static bool is_ours(const char *name) {
    int shard, end = 0;
    return strcmp(name, "dataset.yaml") == 0 ||
           (sscanf(name, "shard-%5d.mdb%n", &shard, &end) == 1 && end > 0 && name[end] == '\0');
}

/* Removes a folder and the files in it, all of which must be ours; true if it is gone. */
static bool remove_folder(const char *path) {
    char **names, *inner;
    size_t count;
    if (folder_names(&names, &count, path) != STATUS_OK) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        /* dataset.yaml.<anything> is what a failed atomic write may have left. */
        bool remove = is_ours(names[i]) || strncmp(names[i], "dataset.yaml", 12) == 0;
        if (remove && path_join(&inner, path, names[i]) == STATUS_OK) {
            unlink(inner);
            free(inner);
        }
    }
    folder_names_release(names, count);
    return rmdir(path) == 0;
}

static status check_replaceable(const char *path) {
    char **names;
    size_t count;
    bool found = false;
    TRY(folder_names(&names, &count, path));
    status result = STATUS_OK;
    for (size_t i = 0; i < count; i++) {
        found = found || strcmp(names[i], "dataset.yaml") == 0;
        if (!is_ours(names[i])) {
            FAIL_TO(done, result, STATUS_USAGE,
                "%s: will not replace a folder that holds \"%s\", which no import wrote", path,
                names[i]);
        }
    }
    if (!found && count > 0) {
        FAIL_TO(done, result, STATUS_USAGE, "%s: will not replace what is no data set", path);
    }
done:
    folder_names_release(names, count);
    return result;
}

static status check_target(const char *path, bool replace) {
    if (access(path, F_OK) != 0) {
        return STATUS_OK;
    }
    if (!replace) {
        FAIL(STATUS_USAGE, "%s: exists already; --replace replaces a data set", path);
    }
    if (!folder_exists(path)) {
        FAIL(STATUS_USAGE, "%s: is no folder", path);
    }
    return check_replaceable(path);
}

/* The folder above `path`, as a text of its own ("." where there is none). */
static status path_above(char **above, const char *path) {
    const char *slash = strrchr(path, '/');
    if (slash == NULL) {
        return memory_copy_text(above, ".");
    }
    TRY(memory_copy_text(above, path));
    (*above)[slash == path ? 1 : slash - path] = '\0';
    return STATUS_OK;
}

/* How many folders above `path` do not exist. */
static status count_missing(int *missing, const char *path) {
    char *above, *next;
    *missing = 0;
    TRY(path_above(&above, path));
    while (!folder_exists(above) && strcmp(above, "/") != 0 && strcmp(above, ".") != 0) {
        (*missing)++;
        status result = path_above(&next, above);
        free(above);
        TRY(result);
        above = next;
    }
    free(above);
    return STATUS_OK;
}

static status name_temporary(char **temporary, const char *final) {
    size_t size = strlen(final) + 32;
    TRY(memory_allocate((void **)temporary, size, 1));
    snprintf(*temporary, size, "%s.tmp-%ld", final, (long)getpid());
    return STATUS_OK;
}

/* "a/b" for "a/b//". */
static status copy_trimmed(char **copy, const char *path) {
    TRY(memory_copy_text(copy, path));
    size_t length = strlen(*copy);
    while (length > 1 && (*copy)[length - 1] == '/') {
        (*copy)[--length] = '\0';
    }
    return STATUS_OK;
}

static status begin(struct dataset_folder *folder, const char *final) {
    TRY(copy_trimmed(&folder->final, final));
    if (folder->final[0] == '\0' || strcmp(folder->final, "/") == 0) {
        FAIL(STATUS_USAGE, "\"%s\" is no place for a data set", final);
    }
    TRY(check_target(folder->final, folder->replace));
    char *temporary;
    TRY(name_temporary(&temporary, folder->final));
    status result;
    TRY_TO(failed, result, count_missing(&folder->made, folder->final));
    remove_folder(temporary); /* of a process that had our number and died */
    TRY_TO(failed, result, folder_make(temporary));
    folder->temporary = temporary;
    return STATUS_OK;
failed:
    free(temporary);
    return result;
}

status dataset_folder_begin(struct dataset_folder *folder, const char *final, bool replace) {
    *folder = (struct dataset_folder){.replace = replace};
    status result = begin(folder, final);
    if (result != STATUS_OK) {
        dataset_folder_release(folder);
    }
    return result;
}

static status flush_folder(const char *path) {
    int descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0 || fsync(descriptor) != 0) {
        int error = errno;
        if (descriptor >= 0) {
            close(descriptor);
        }
        FAIL(STATUS_SYSTEM, "%s: %s", path, strerror(error));
    }
    close(descriptor);
    return STATUS_OK;
}

/* An old data set changes places with the new one where the system can do that at once; elsewhere
 * it steps aside first. */
static status put_in_place(const struct dataset_folder *folder) {
    if (access(folder->final, F_OK) != 0) {
        if (rename(folder->temporary, folder->final) == 0) {
            return STATUS_OK;
        }
        FAIL(STATUS_SYSTEM, "%s: cannot put the data set in place: %s", folder->final,
            strerror(errno));
    }
    TRY(check_target(folder->final, folder->replace));
    if (renameat2(AT_FDCWD, folder->temporary, AT_FDCWD, folder->final, RENAME_EXCHANGE) == 0) {
        remove_folder(folder->temporary);
        return STATUS_OK;
    }
    if (!remove_folder(folder->final) || rename(folder->temporary, folder->final) != 0) {
        FAIL(STATUS_SYSTEM, "%s: cannot replace the data set: %s", folder->final, strerror(errno));
    }
    return STATUS_OK;
}

status dataset_folder_commit(struct dataset_folder *folder) {
    TRY(flush_folder(folder->temporary));
    TRY(put_in_place(folder));
    free(folder->temporary);
    folder->temporary = NULL;
    char *above;
    TRY(path_above(&above, folder->final));
    status result = flush_folder(above);
    free(above);
    return result;
}

void dataset_folder_release(struct dataset_folder *folder) {
    if (folder->temporary != NULL) {
        remove_folder(folder->temporary);
        char *above;
        for (int i = 0; i < folder->made && folder->final != NULL; i++) {
            if (path_above(&above, folder->final) != STATUS_OK) {
                break;
            }
            rmdir(above);
            free(folder->final);
            folder->final = above;
        }
    }
    free(folder->temporary);
    free(folder->final);
    *folder = (struct dataset_folder){0};
}
