#include "trainer/run_folder.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

#define NUMBER_LIMIT 100000

/* "runs/lenet5" of "configs/lenet5.yaml" for number 1, "runs/lenet5-2" for 2. */
static status default_path(char **path, const char *recipe_path, int number) {
    const char *slash = strrchr(recipe_path, '/');
    const char *name = slash != NULL ? slash + 1 : recipe_path;
    const char *dot = strrchr(name, '.');
    int length = dot != NULL && dot != name ? (int)(dot - name) : (int)strlen(name);
    int written = number == 1 ? asprintf(path, "runs/%.*s", length, name)
                              : asprintf(path, "runs/%.*s-%d", length, name, number);
    if (written < 0) {
        *path = NULL;
        FAIL(STATUS_SYSTEM, "no memory for the name of the run folder");
    }
    return STATUS_OK;
}

static bool holds_run(const char *path) {
    static const char *const parts[] = {"metrics.jsonl", "recipe.yaml", "checkpoints"};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        char *part = NULL;
        bool found = path_join(&part, path, parts[i]) == STATUS_OK &&
                     (file_exists(part) || folder_exists(part));
        free(part);
        if (found) {
            return true;
        }
    }
    return false;
}

static status make_and_lock(struct run_folder *folder) {
    status result = folder_make(folder->path);
    if (result != STATUS_OK) {
        return status_prefix(result, "run folder %s", folder->path);
    }
    TRY(folder_lock_take(&folder->lock, folder->path));
    folder->locked = true;
    return STATUS_OK;
}

/* The first number that is free; one that another job took in the same moment is taken too. */
static status open_fresh(struct run_folder *folder, const char *recipe_path) {
    for (int number = 1; number < NUMBER_LIMIT; number++) {
        TRY(default_path(&folder->path, recipe_path, number));
        if (!folder_exists(folder->path)) {
            status result = make_and_lock(folder);
            if (result != STATUS_USAGE) {
                return result;
            }
        }
        free(folder->path);
        folder->path = NULL;
    }
    FAIL(STATUS_USAGE, "all of runs/ is taken: name a folder with --run");
}

static status open_newest(struct run_folder *folder, const char *recipe_path) {
    TRY(default_path(&folder->path, recipe_path, 1));
    for (int number = 2; number < NUMBER_LIMIT; number++) {
        char *next;
        TRY(default_path(&next, recipe_path, number));
        if (!folder_exists(next)) {
            free(next);
            break;
        }
        free(folder->path);
        folder->path = next;
    }
    return make_and_lock(folder);
}

static status open_wanted(struct run_folder *folder, const char *wanted, bool resume) {
    TRY(memory_copy_text(&folder->path, wanted));
    if (file_exists(wanted) && !folder_exists(wanted)) {
        FAIL(STATUS_USAGE, "--run %s: a file is in the way", wanted);
    }
    if (resume || !holds_run(wanted)) {
        return make_and_lock(folder);
    }
    /* Who is at work there is the better message. */
    struct folder_lock lock;
    TRY(folder_lock_take(&lock, wanted));
    folder_lock_release(&lock);
    FAIL(STATUS_USAGE,
        "--run %s: a run lies there already; go on with it by --resume, or name "
        "another folder",
        wanted);
}

status run_folder_open(
    struct run_folder *folder, const char *wanted, const char *recipe_path, bool resume) {
    *folder = (struct run_folder){0};
    status result = wanted != NULL ? open_wanted(folder, wanted, resume)
                    : resume       ? open_newest(folder, recipe_path)
                                   : open_fresh(folder, recipe_path);
    if (result != STATUS_OK) {
        run_folder_release(folder);
    }
    return result;
}

void run_folder_release(struct run_folder *folder) {
    if (folder->locked) {
        folder_lock_release(&folder->lock);
    }
    free(folder->path);
    *folder = (struct run_folder){0};
}
