#include "shard/import.h"

#include "base/memory.h"
#include "base/random.h"
#include "io/file.h"
#include "shard/shard_file.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define WRITERS        8
#define PROGRESS_EVERY 64 /* records */
#define NAMES_SIZE     ((size_t)16 << 20)

const struct option import_options_table[] = {
    {"shards", OPTION_INTEGER, offsetof(struct import_options, shards), .initial = "16", .low = 1,
        .high = SHARD_LIMIT, .help = "files of a data set, a power of two"},
    {"split", OPTION_REAL, offsetof(struct import_options, split), .initial = "0", .low = 0,
        .high = 0.999, .help = "share of the training pictures that becomes DATASET/validation"},
    {"seed", OPTION_INTEGER, offsetof(struct import_options, seed), .initial = "0", .low = 0,
        .high = 9007199254740992.0, .help = "of the split"},
    {"replace", OPTION_SWITCH, offsetof(struct import_options, replace), .initial = "false",
        .help = "replace a data set that exists"},
    OPTIONS_END};

struct import {
    const char *dataset;
    const struct import_options *options;
    struct dataset_writer_options writer;
    struct dataset_writer *writers[WRITERS];
    const char *sets[WRITERS]; /* their names, NULL for DATASET itself */
    int count;

    /* The set at hand: its writers, and what is left to deal to each. */
    struct dataset_writer *train, *validation;
    const char *what;
    int64_t records, done, held_out; /* held_out: for validation, still to come */
};

status import_create(struct import **import, const char *dataset,
    const struct import_options *options, const char *format, int classes,
    const char *const *class_names) {
    TRY(MEMORY_ALLOCATE(import, 1));
    (*import)->dataset = dataset;
    (*import)->options = options;
    (*import)->writer = (struct dataset_writer_options){
        .shards = (int)options->shards,
        .replace = options->replace,
        .format = format,
        .classes = classes,
        .class_names = class_names,
    };
    return STATUS_OK;
}

static status open_writer(struct dataset_writer **writer, struct import *import, const char *set) {
    char *folder;
    for (int i = 0; i < import->count; i++) {
        if (set == NULL || import->sets[i] == NULL || strcmp(set, import->sets[i]) == 0) {
            FAIL(STATUS_USAGE, "the source has a set \"%s\" already: import without --split",
                set == NULL ? "" : set);
        }
    }
    assert(import->count < WRITERS);
    if (set == NULL) {
        TRY(memory_copy_text(&folder, import->dataset));
    } else {
        TRY(path_join(&folder, import->dataset, set));
    }
    status result = dataset_writer_create(writer, folder, &import->writer);
    free(folder);
    TRY(result);
    import->sets[import->count] = set;
    import->writers[import->count++] = *writer;
    return STATUS_OK;
}

status import_begin(struct import *import, const char *set, int64_t records) {
    bool split = import->options->split > 0 && (set == NULL || strcmp(set, "train") == 0);
    import->what = set == NULL ? "pictures" : set;
    import->records = records;
    import->done = 0;
    import->validation = NULL;
    import->held_out = 0;
    if (split) {
        import->held_out = (int64_t)((double)records * import->options->split + 0.5);
        if (import->held_out < 1 || import->held_out >= records) {
            FAIL(STATUS_USAGE, "split: %g of %lld pictures leaves one of the two sets empty",
                import->options->split, (long long)records);
        }
        TRY(open_writer(&import->validation, import, "validation"));
    }
    return open_writer(&import->train, import, split ? "train" : set);
}

/* Whether the next record goes to validation: selection sampling (Knuth, volume 2, 3.4.2,
 * algorithm S), which draws exactly as many as it must. */
static bool is_held_out(const struct import *import) {
    if (import->held_out == 0) {
        return false;
    }
    struct random_place place = {.seed = (uint64_t)import->options->seed,
        .purpose = RANDOM_SPLIT,
        .item = (uint32_t)import->done};
    uint32_t words[4];
    random_block(words, &place, 0);
    return random_below(words[0], (uint32_t)(import->records - import->done)) < import->held_out;
}

status import_add(
    struct import *import, const struct record *record, const struct picture *decoded) {
    bool held_out = is_held_out(import);
    TRY(dataset_writer_add(held_out ? import->validation : import->train, record, decoded));
    import->held_out -= held_out;
    import->done++;
    if (import->options->progress != NULL &&
        (import->done % PROGRESS_EVERY == 0 || import->done == import->records)) {
        import->options->progress(
            import->options->progress_context, import->what, import->done, import->records);
    }
    return STATUS_OK;
}

/* Everything that may fail comes first for all of them, so that either all sets appear or, but for
 * a machine that dies between two renames, none. */
status import_commit(struct import *import) {
    for (int i = 0; i < import->count; i++) {
        TRY(dataset_writer_finish(import->writers[i]));
    }
    for (int i = 0; i < import->count; i++) {
        TRY(dataset_writer_commit(import->writers[i]));
    }
    return STATUS_OK;
}

/* In the order opposite to their making: the folders that the first one made above go last. */
void import_destroy(struct import *import) {
    if (import == NULL) {
        return;
    }
    while (import->count > 0) {
        dataset_writer_destroy(import->writers[--import->count]);
    }
    free(import);
}

static status add_name(char ***names, int *count, char *line, const char *path) {
    if (*line == '\0') {
        FAIL(
            STATUS_INPUT, "%s: line %d is empty: it must be the name of a class", path, *count + 1);
    }
    char **grown = realloc(*names, ((size_t)*count + 1) * sizeof *grown);
    if (grown == NULL) {
        FAIL(STATUS_SYSTEM, "no memory for the names of %d classes", *count + 1);
    }
    *names = grown;
    TRY(memory_copy_text(&grown[*count], line));
    (*count)++;
    return STATUS_OK;
}

status import_read_names(char ***names, int *count, const char *path) {
    void *bytes;
    size_t size;
    *names = NULL;
    *count = 0;
    TRY(file_read(&bytes, &size, path, NAMES_SIZE));
    char *line = bytes, *end = line + size;
    while (end > line && (end[-1] == '\n' || end[-1] == '\r')) {
        *--end = '\0'; /* blank lines at the end are no names */
    }
    status result = STATUS_OK;
    while (line < end) {
        char *stop = memchr(line, '\n', (size_t)(end - line));
        stop = stop == NULL ? end : stop;
        *stop = '\0';
        if (stop > line && stop[-1] == '\r') {
            stop[-1] = '\0';
        }
        TRY_TO(failed, result, add_name(names, count, line, path));
        line = stop + 1;
    }
    if (*count == 0) {
        FAIL_TO(failed, result, STATUS_INPUT, "%s: has no names of classes", path);
    }
    free(bytes);
    return STATUS_OK;
failed:
    free(bytes);
    import_names_release(*names, *count);
    *names = NULL;
    *count = 0;
    return result;
}

void import_names_release(char **names, int count) {
    for (int i = 0; i < count; i++) {
        free(names[i]);
    }
    free(names);
}
