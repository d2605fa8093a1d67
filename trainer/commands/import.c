#include "io/file.h"
#include "io/log.h"
#include "shard/importer.h"
#include "trainer/commands/command.h"

#include <inttypes.h>
#include <stdlib.h>

static void show_progress(void *context, const char *what, int64_t done, int64_t total) {
    log_count(context, what, done, total);
}

/* One line for a data set that now lies there. */
static status describe(const char *folder) {
    struct dataset *dataset;
    TRY(dataset_open(&dataset, folder));
    const struct dataset_information *information = dataset_get_information(dataset);
    char shape[64];
    printf("%s: %" PRId64 " pictures of %d classes, %s, in %d shards, digest %s\n", folder,
        information->records, information->classes,
        shape_text(information->shape, shape, sizeof shape), information->shards,
        information->digest);
    dataset_close(dataset);
    return STATUS_OK;
}

/* An importer writes one data set at `folder`, or some below it. */
static status describe_all(const char *folder) {
    static const char *const parts[] = {"train", "validation", "test"};
    char *path;
    TRY(path_join(&path, folder, "dataset.yaml"));
    bool single = file_exists(path);
    free(path);
    if (single) {
        return describe(folder);
    }
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        TRY(path_join(&path, folder, parts[i]));
        status result = folder_exists(path) ? describe(path) : STATUS_OK;
        free(path);
        TRY(result);
    }
    return STATUS_OK;
}

static status run(int *code, const struct command_line *line) {
    (void)code;
    struct import_options options = *(const struct import_options *)line->options;
    struct log *log;
    TRY(log_open(&log, NULL, false, false));
    options.values = line->kind_options;
    options.progress = show_progress;
    options.progress_context = log;
    const struct importer_operations *importer = (const struct importer_operations *)line->kind;
    status result = importer->import(line->arguments[0], line->arguments[1], &options);
    log_progress_end(log);
    log_close(log);
    TRY(result);
    return describe_all(line->arguments[1]);
}

const struct command command_import = {
    .name = "import",
    .arguments = "FORMAT SOURCE DATASET",
    .help = "turn foreign files into a data set",
    .description = "SOURCE is the file or folder to read, DATASET the folder to write. Nothing is\n"
                   "seen of the data set until all of it is written.",
    .fewest = 2,
    .most = 2,
    .options = import_options_table,
    .options_size = sizeof(struct import_options),
    .kinds = importers,
    .kinds_what = "format",
    .run = run,
};
