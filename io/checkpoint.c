#include "io/checkpoint.h"

#include "base/memory.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FOLDER    "checkpoints"
#define NAME_FORM "step-%09" PRId64 ".safetensors"
#define BEST      "best.safetensors"

static void make_name(char name[64], int64_t step) {
    snprintf(name, 64, NAME_FORM, step);
}

static status step_path(char **path, const char *run, int64_t step) {
    char name[64], below[80];
    make_name(name, step);
    snprintf(below, sizeof below, FOLDER "/%s", name);
    return path_join(path, run, below);
}

status checkpoint_path(char **path, const char *run, int64_t step) {
    char *folder;
    *path = NULL;
    TRY(path_join(&folder, run, FOLDER));
    status result = folder_make(folder);
    free(folder);
    TRY(result);
    return step_path(path, run, step);
}

/* The step that a file name stands for; only names that checkpoint_path makes count. */
static bool parse_name(int64_t *step, const char *name) {
    char again[64];
    if (sscanf(name, "step-%" SCNd64, step) != 1 || *step < 0) {
        return false;
    }
    make_name(again, *step);
    return strcmp(again, name) == 0;
}

static int compare_steps(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* The steps of the checkpoints in `folder`, rising; freed by free(). */
static status list_steps(int64_t **steps, size_t *count, const char *folder) {
    char **names;
    size_t names_count;
    *steps = NULL;
    *count = 0;
    TRY(folder_names(&names, &names_count, folder));
    status result = STATUS_OK;
    TRY_TO(done, result, memory_allocate((void **)steps, names_count, sizeof **steps));
    for (size_t i = 0; i < names_count; i++) {
        *count += parse_name(&(*steps)[*count], names[i]);
    }
    qsort(*steps, *count, sizeof **steps, compare_steps);
done:
    folder_names_release(names, names_count);
    return result;
}

static status open_verified(struct safetensors_file **file, const char *path) {
    TRY(safetensors_open(file, path));
    status result = safetensors_verify(*file);
    if (result != STATUS_OK) {
        safetensors_close(*file);
        *file = NULL;
    }
    return result;
}

/* The newest that verifies of the files in `folder` itself. */
static status open_newest(struct safetensors_file **file, char **path_found, const char *folder,
    checkpoint_skipped skipped, void *context) {
    int64_t *steps;
    size_t count;
    TRY(list_steps(&steps, &count, folder));
    status result = STATUS_NOT_FOUND;
    for (size_t i = count; i-- > 0 && result == STATUS_NOT_FOUND;) {
        char name[64], *path;
        make_name(name, steps[i]);
        TRY_TO(done, result, path_join(&path, folder, name));
        result = open_verified(file, path);
        if (result == STATUS_OK) {
            *path_found = path;
            break;
        }
        if (result == STATUS_INPUT) {
            char reason[1024];
            status_message_copy(reason, sizeof reason);
            if (skipped != NULL) {
                skipped(context, path, reason);
            }
            result = STATUS_NOT_FOUND;
        }
        free(path);
    }
    if (result == STATUS_NOT_FOUND) {
        FAIL_TO(
            done, result, STATUS_NOT_FOUND, "%s: none of %zu checkpoints verifies", folder, count);
    }
done:
    free(steps);
    return result;
}

status checkpoint_open_latest(struct safetensors_file **file, char **path, const char *run,
    checkpoint_skipped skipped, void *context) {
    char *folder;
    *file = NULL;
    *path = NULL;
    TRY(path_join(&folder, run, FOLDER));
    status result = open_newest(file, path, folder, skipped, context);
    free(folder);
    return result;
}

status checkpoint_open(struct safetensors_file **file, char **path_found, const char *path,
    checkpoint_skipped skipped, void *context) {
    char *folder = NULL;
    *file = NULL;
    *path_found = NULL;
    if (folder_exists(path)) {
        TRY(path_join(&folder, path, FOLDER));
        status result =
            open_newest(file, path_found, folder_exists(folder) ? folder : path, skipped, context);
        free(folder);
        return result;
    }
    TRY(open_verified(file, path));
    *path_found = strdup(path);
    if (*path_found == NULL) {
        safetensors_close(*file);
        *file = NULL;
        FAIL(STATUS_SYSTEM, "no memory for a path");
    }
    return STATUS_OK;
}

static status remove_file(const char *folder, const char *name) {
    char *path;
    TRY(path_join(&path, folder, name));
    status result = STATUS_OK;
    if (unlink(path) != 0 && errno != ENOENT) {
        FAIL_TO(done, result, STATUS_SYSTEM, "cannot delete %s: %s", path, strerror(errno));
    }
done:
    free(path);
    return result;
}

static status remove_temporaries(const char *folder) {
    char **names;
    size_t count;
    TRY(folder_names(&names, &count, folder));
    status result = STATUS_OK;
    for (size_t i = 0; i < count && result == STATUS_OK; i++) {
        if (atomic_file_is_temporary(names[i])) {
            result = remove_file(folder, names[i]);
        }
    }
    folder_names_release(names, count);
    return result;
}

status checkpoint_retain(const char *run, int64_t newest, int keep, int64_t best_step) {
    char *folder;
    int64_t *steps = NULL;
    size_t count;
    TRY(path_join(&folder, run, FOLDER));
    status result = STATUS_OK;
    TRY_TO(done, result, remove_temporaries(folder));
    TRY_TO(done, result, list_steps(&steps, &count, folder));
    while (count > 0 && steps[count - 1] > newest) {
        count--;
    }
    for (size_t i = 0; keep > 0 && i + (size_t)keep < count; i++) {
        char name[64];
        make_name(name, steps[i]);
        if (steps[i] != best_step) {
            TRY_TO(done, result, remove_file(folder, name));
        }
    }
done:
    free(steps);
    free(folder);
    return result;
}

static status copy_file(const char *path, const char *source) {
    struct atomic_file file;
    static const size_t piece = (size_t)1 << 20;
    void *buffer;
    FILE *in = fopen(source, "rb");
    if (in == NULL) {
        FAIL(STATUS_SYSTEM, "cannot read %s: %s", source, strerror(errno));
    }
    status result = STATUS_OK;
    TRY_TO(close_in, result, memory_allocate(&buffer, piece, 1));
    TRY_TO(free_buffer, result, atomic_file_open(&file, path));
    for (size_t got; (got = fread(buffer, 1, piece, in)) > 0;) {
        TRY_TO(abandon, result, atomic_file_write(&file, buffer, got));
    }
    if (ferror(in)) {
        FAIL_TO(abandon, result, STATUS_SYSTEM, "cannot read %s: %s", source, strerror(errno));
    }
    result = atomic_file_commit(&file);
abandon:
    atomic_file_abandon(&file);
free_buffer:
    free(buffer);
close_in:
    fclose(in);
    return result;
}

/* *linked = false where the file system has no links (or no more for this file). */
static status link_file(bool *linked, const char *path, const char *source) {
    struct stat ours, theirs;
    *linked = true;
    if (stat(path, &ours) == 0 && stat(source, &theirs) == 0 && ours.st_dev == theirs.st_dev &&
        ours.st_ino == theirs.st_ino) {
        return STATUS_OK; /* rename would leave both names of one file */
    }
    struct atomic_file file;
    TRY(atomic_file_open(&file, path));
    if (unlink(file.temporary) == 0 && link(source, file.temporary) == 0) {
        return atomic_file_commit(&file);
    }
    status result = STATUS_OK;
    *linked = false;
    if (errno == ENOENT) {
        result = status_fail(STATUS_NOT_FOUND, __FILE__, __LINE__, __func__, "cannot link %s: %s",
            source, strerror(errno));
    }
    atomic_file_abandon(&file);
    return result;
}

status checkpoint_mark_best(const char *run, int64_t step) {
    char *source = NULL, *best = NULL;
    bool linked;
    status result = STATUS_OK;
    TRY_TO(done, result, step_path(&source, run, step));
    TRY_TO(done, result, path_join(&best, run, FOLDER "/" BEST));
    TRY_TO(done, result, link_file(&linked, best, source));
    if (!linked) {
        TRY_TO(done, result, copy_file(best, source));
    }
done:
    free(source);
    free(best);
    return result;
}
