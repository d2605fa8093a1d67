/* pictures: JPEG and PNG files in one folder a class. A source that holds train/ with class folders
 * in it is taken as several sets: train/, test/, val/ or validation/, whose classes must be among
 * those of train/.
 */
#include "shard/class_folders.h"
#include "shard/import.h"
#include "shard/picture_fit.h"

#include "base/memory.h"
#include "io/file.h"

#include <stdlib.h>
#include <string.h>

#define FILE_LIMIT ((size_t)256 << 20) /* bytes of one picture file */
#define SIDE_LIMIT 16384

struct pictures_options {
    const char *size;
    int fit, encoding, channels;
    int64_t quality;
};

static const char *const fits[] = {"crop", "pad", "stretch", NULL};
static const char *const encodings[] = {"keep", "raw", "zlib", "png", "jpeg", NULL};
static const char *const channel_names[] = {"keep", "grey", "rgb", NULL};
static const int channel_counts[] = {0, 1, 3};
enum { KEEP = 0 };

static const struct option pictures_table[] = {
    {"size", OPTION_TEXT, offsetof(struct pictures_options, size),
        .help = "WxH: bring every picture to this width and height (default: as they are)"},
    {"fit", OPTION_NAME, offsetof(struct pictures_options, fit), .initial = "crop", .names = fits,
        .help = "with size: cut off, pad with black, or stretch what has another aspect"},
    {"encoding", OPTION_NAME, offsetof(struct pictures_options, encoding), .initial = "keep",
        .names = encodings,
        .help =
            "how pictures are kept; keep: the file's own bytes, or its format where it changes"},
    {"channels", OPTION_NAME, offsetof(struct pictures_options, channels), .initial = "keep",
        .names = channel_names, .help = "turn every picture to grey or to rgb"},
    {"quality", OPTION_INTEGER, offsetof(struct pictures_options, quality), .initial = "95",
        .low = 1, .high = 100, .help = "of JPEG where pictures are coded anew"},
    OPTIONS_END};

/* One import under way. */
struct work {
    const struct pictures_options *options;
    struct import *import;
    const struct class_folders *classes; /* whose numbers count */
    int height, width;                   /* 0: as they are */
};

static status parse_size(int *height, int *width, const char *text) {
    *height = *width = 0;
    if (text == NULL) {
        return STATUS_OK;
    }
    int end = 0;
    if (sscanf(text, "%5dx%5d%n", width, height, &end) != 2 || text[end] != '\0' || *width < 1 ||
        *height < 1 || *width > SIDE_LIMIT || *height > SIDE_LIMIT) {
        FAIL(STATUS_USAGE, "size: \"%s\": must be WxH, like 224x224, each 1 to %d", text,
            SIDE_LIMIT);
    }
    return STATUS_OK;
}

static enum record_encoding choose_encoding(int wanted, enum picture_format format) {
    switch (wanted) {
    case KEEP: return format == PICTURE_JPEG ? RECORD_JPEG : RECORD_PNG;
    case 1: return RECORD_RAW;
    case 2: return RECORD_ZLIB;
    case 3: return RECORD_PNG;
    default: return RECORD_JPEG;
    }
}

/* Adds a decoded picture, coded anew. */
static status add_coded(struct work *work, struct record *record, const struct picture *picture,
    enum picture_format format) {
    void *owned;
    TRY(record_encode(record, &owned, picture, choose_encoding(work->options->encoding, format),
        (int)work->options->quality));
    /* JPEG loses a little: statistics are those of what will be read. */
    status result =
        import_add(work->import, record, record->encoding == RECORD_JPEG ? NULL : picture);
    free(owned);
    return result;
}

/* Adds a decoded picture; keeps the file's bytes where nothing in them must change. */
static status add_decoded(struct work *work, struct record *record, const struct picture *picture,
    const void *bytes, size_t size) {
    enum picture_format format = picture_detect(bytes, size);
    if (work->height > 0 && (picture->height != work->height || picture->width != work->width)) {
        struct picture fitted;
        TRY(picture_fit(
            &fitted, picture, work->height, work->width, (enum picture_fit)work->options->fit));
        status result = add_coded(work, record, &fitted, format);
        picture_release(&fitted);
        return result;
    }
    int channels, height, width;
    TRY(picture_measure(&channels, &height, &width, bytes, size));
    bool as_is = work->options->channels == KEEP || channels == picture->channels;
    if (work->options->encoding != KEEP || !as_is) {
        return add_coded(work, record, picture, format);
    }
    record->encoding = format == PICTURE_JPEG ? RECORD_JPEG : RECORD_PNG;
    record->shape = (struct shape){picture->channels, picture->height, picture->width};
    record->bytes = bytes;
    record->size = size;
    return import_add(work->import, record, picture);
}

static status add_bytes(struct work *work, int class_number, const void *bytes, size_t size) {
    struct record record = {.target = {.type = TARGET_CLASS, .class_number = class_number}};
    struct picture picture;
    if (size == 0) {
        FAIL(STATUS_INPUT, "the file is empty (0 bytes)");
    }
    if (picture_detect(bytes, size) == PICTURE_UNKNOWN) {
        FAIL(STATUS_INPUT, "is neither JPEG nor PNG");
    }
    TRY(picture_decode(&picture, bytes, size, channel_counts[work->options->channels]));
    status result = add_decoded(work, &record, &picture, bytes, size);
    picture_release(&picture);
    return result;
}

static status add_file(struct work *work, int class_number, const char *folder, const char *name) {
    char *path;
    void *bytes = NULL;
    size_t size;
    TRY(path_join(&path, folder, name));
    status result = STATUS_OK;
    if (folder_exists(path)) {
        FAIL_TO(done, result, STATUS_INPUT, "%s: a folder inside the folder of a class", path);
    }
    TRY_TO(done, result, file_read(&bytes, &size, path, FILE_LIMIT));
    result = add_bytes(work, class_number, bytes, size);
    if (result != STATUS_OK) {
        status_prefix(result, "%s", path);
    }
done:
    free(bytes);
    free(path);
    return result;
}

/* The number of a class, by its name: class folders are sorted. */
static int compare_names(const void *a, const void *b) {
    return strcmp(((const struct class_folder *)a)->name, ((const struct class_folder *)b)->name);
}
static status find_class(
    int *number, const struct class_folders *classes, struct class_folder *wanted) {
    const struct class_folder *found = bsearch(
        wanted, classes->classes, (size_t)classes->count, sizeof *classes->classes, compare_names);
    if (found == NULL) {
        FAIL(STATUS_INPUT, "%s: the training set has no class \"%s\"", wanted->path, wanted->name);
    }
    *number = (int)(found - classes->classes);
    return STATUS_OK;
}

static status import_folders(
    struct work *work, const char *set, const struct class_folders *folders) {
    TRY(import_begin(work->import, set, folders->files));
    for (int i = 0; i < folders->count; i++) {
        struct class_folder *class = &folders->classes[i];
        int number = 0;
        TRY(find_class(&number, work->classes, class));
        for (size_t file = 0; file < class->count; file++) {
            TRY(add_file(work, number, class->path, class->files[file]));
        }
    }
    return STATUS_OK;
}

/* A set that may be missing. */
static status import_optional(
    struct work *work, const char *source, const char *name, const char *set) {
    char *path;
    struct class_folders folders = {0};
    TRY(path_join(&path, source, name));
    status result = STATUS_OK;
    if (folder_exists(path)) {
        TRY_TO(done, result, class_folders_read(&folders, path));
        TRY_TO(done, result, import_folders(work, set, &folders));
    }
done:
    class_folders_release(&folders);
    free(path);
    return result;
}

static status name_classes(const char ***names, const struct class_folders *folders) {
    TRY(MEMORY_ALLOCATE(names, (size_t)folders->count));
    for (int i = 0; i < folders->count; i++) {
        (*names)[i] = folders->classes[i].name;
    }
    return STATUS_OK;
}

static status pictures_import(
    const char *source, const char *dataset, const struct import_options *options) {
    struct class_folders folders = {0};
    struct work work = {.options = options->values, .classes = &folders};
    const char **names = NULL;
    char *train = NULL;
    status result;
    TRY_TO(done, result, parse_size(&work.height, &work.width, work.options->size));
    TRY_TO(done, result, path_join(&train, source, "train"));
    bool several = class_folders_exist(train);
    TRY_TO(done, result, class_folders_read(&folders, several ? train : source));
    TRY_TO(done, result, name_classes(&names, &folders));
    TRY_TO(done, result,
        import_create(&work.import, dataset, options, "pictures", folders.count, names));
    TRY_TO(done, result, import_folders(&work, several ? "train" : NULL, &folders));
    if (several) {
        TRY_TO(done, result, import_optional(&work, source, "test", "test"));
        TRY_TO(done, result, import_optional(&work, source, "val", "validation"));
        TRY_TO(done, result, import_optional(&work, source, "validation", "validation"));
    }
    TRY_TO(done, result, import_commit(work.import));
done:
    import_destroy(work.import);
    class_folders_release(&folders);
    free(names);
    free(train);
    return result;
}

const struct importer_operations importer_pictures = {
    .kind = {"pictures", "folders of JPEG and PNG files, one folder a class", pictures_table,
        sizeof(struct pictures_options)},
    .import = pictures_import,
};
