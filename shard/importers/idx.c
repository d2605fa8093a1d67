/* idx: the format of MNIST (LeCun, Cortes, Burges) and Fashion-MNIST, plain or gzipped.
 *
 * A file starts with two zero bytes, the type of its elements (8: bytes), the number of dimensions,
 * and each dimension as a big-endian 32-bit number; then the elements. Nothing in it can be
 * trusted: every read is checked, and the file must end where its header says.
 */
#include "shard/import.h"

#include "base/memory.h"
#include "io/file.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define SIDE_LIMIT 16384

struct idx_options {
    const char *names;
    int64_t classes;
    int encoding;
};

static const char *const encodings[] = {"raw", "zlib", NULL};

static const struct option idx_table[] = {
    {"names", OPTION_TEXT, offsetof(struct idx_options, names),
        .help = "text file with the names of the classes, one a line"},
    {"classes", OPTION_INTEGER, offsetof(struct idx_options, classes), .initial = "10", .low = 1,
        .high = 256, .help = "how many classes; with names, as many as it has lines"},
    {"encoding", OPTION_NAME, offsetof(struct idx_options, encoding), .initial = "raw",
        .names = encodings, .help = "how pixels are kept"},
    OPTIONS_END};

/* One open file; `dimension` has three numbers for pictures, one for labels. */
struct idx_file {
    char *path;
    gzFile stream;
    uint32_t dimension[3];
};

/* zlib's word for what went wrong, without the path that it puts before it. */
static const char *gzip_reason(int *code, const struct idx_file *file) {
    const char *reason = gzerror(file->stream, code);
    size_t length = strlen(file->path);
    bool named = strncmp(reason, file->path, length) == 0 && strncmp(reason + length, ": ", 2) == 0;
    return named ? reason + length + 2 : reason;
}

static status read_exactly(struct idx_file *file, void *bytes, unsigned size, const char *what) {
    int got = gzread(file->stream, bytes, size);
    if (got == (int)size) {
        return STATUS_OK;
    }
    int code;
    const char *reason = gzip_reason(&code, file);
    FAIL(STATUS_INPUT, "%s: ends early, in %s%s%s", file->path, what, code < 0 ? ": " : "",
        code < 0 ? reason : "");
}

static uint32_t big_endian(const unsigned char *bytes) {
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static status read_header(struct idx_file *file, int dimensions) {
    unsigned char bytes[16];
    TRY(read_exactly(file, bytes, 4 + 4 * (unsigned)dimensions, "the header"));
    if (bytes[0] != 0 || bytes[1] != 0 || bytes[2] != 8 || bytes[3] != dimensions) {
        FAIL(STATUS_INPUT,
            "%s: no IDX file of bytes in %d dimensions (it starts %02x %02x %02x %02x)", file->path,
            dimensions, bytes[0], bytes[1], bytes[2], bytes[3]);
    }
    for (int i = 0; i < dimensions; i++) {
        file->dimension[i] = big_endian(bytes + 4 + 4 * i);
        if (file->dimension[i] == 0 || (i > 0 && file->dimension[i] > SIDE_LIMIT)) {
            FAIL(STATUS_INPUT, "%s: dimension %d is %u", file->path, i, file->dimension[i]);
        }
    }
    return STATUS_OK;
}

/* Tries the names under which the file is known: with '-' or '.' before "idx", with ".gz" or not.
 */
static status find_file(char **path, const char *folder, const char *set, const char *kind) {
    const char *const marks[] = {"-", "."}, *const ends[] = {"", ".gz"};
    for (int mark = 0; mark < 2; mark++) {
        for (int end = 0; end < 2; end++) {
            char name[64];
            snprintf(name, sizeof name, "%s-%s%sidx%c-ubyte%s", set, kind, marks[mark],
                strcmp(kind, "images") == 0 ? '3' : '1', ends[end]);
            TRY(path_join(path, folder, name));
            if (file_exists(*path)) {
                return STATUS_OK;
            }
            free(*path);
        }
    }
    *path = NULL;
    FAIL(STATUS_NOT_FOUND, "%s: no %s-%s-idx%c-ubyte, plain or with .gz", folder, set, kind,
        strcmp(kind, "images") == 0 ? '3' : '1');
}

static status open_file(
    struct idx_file *file, const char *folder, const char *set, const char *kind, int dimensions) {
    TRY(find_file(&file->path, folder, set, kind));
    file->stream = gzopen(file->path, "rb");
    if (file->stream == NULL) {
        FAIL(STATUS_SYSTEM, "%s: cannot be read", file->path);
    }
    return read_header(file, dimensions);
}

static status check_end(struct idx_file *file) {
    unsigned char more;
    int got = gzread(file->stream, &more, 1), code;
    const char *reason = gzip_reason(&code, file);
    if (got < 0 || code < 0) { /* a gzip's own checksum stands at its end */
        FAIL(STATUS_INPUT, "%s: %s", file->path, reason);
    }
    if (got > 0) {
        FAIL(STATUS_INPUT, "%s: goes on after the %u elements that its header says", file->path,
            file->dimension[0]);
    }
    return STATUS_OK;
}

static void close_file(struct idx_file *file) {
    if (file->stream != NULL) {
        gzclose(file->stream);
    }
    free(file->path);
}

static status add_record(struct import *import, const struct picture *picture, int32_t label,
    enum record_encoding encoding) {
    void *owned;
    struct record record = {.target = {.type = TARGET_CLASS, .class_number = label}};
    TRY(record_encode(&record, &owned, picture, encoding, 0));
    status result = import_add(import, &record, picture);
    free(owned);
    return result;
}

static status import_pictures(struct import *import, struct idx_file *images,
    struct idx_file *labels, enum record_encoding encoding) {
    struct picture picture = {
        .channels = 1, .height = (int)images->dimension[1], .width = (int)images->dimension[2]};
    unsigned size = images->dimension[1] * images->dimension[2];
    TRY(memory_allocate((void **)&picture.pixels, size, 1));
    status result = STATUS_OK;
    for (uint32_t i = 0; i < images->dimension[0]; i++) {
        char what[32];
        unsigned char label;
        snprintf(what, sizeof what, "element %u", i);
        TRY_TO(done, result, read_exactly(images, picture.pixels, size, what));
        TRY_TO(done, result, read_exactly(labels, &label, 1, what));
        result = add_record(import, &picture, label, encoding);
        if (result != STATUS_OK) {
            result = status_prefix(result, "%s: %s", labels->path, what);
            goto done;
        }
    }
    TRY_TO(done, result, check_end(images));
    TRY_TO(done, result, check_end(labels));
done:
    free(picture.pixels);
    return result;
}

static status import_set(struct import *import, const char *folder, const char *prefix,
    const char *set, enum record_encoding encoding) {
    struct idx_file images = {0}, labels = {0};
    status result;
    TRY_TO(done, result, open_file(&images, folder, prefix, "images", 3));
    TRY_TO(done, result, open_file(&labels, folder, prefix, "labels", 1));
    if (images.dimension[0] != labels.dimension[0]) {
        FAIL_TO(done, result, STATUS_INPUT, "%s has %u pictures, but %s has %u labels", images.path,
            images.dimension[0], labels.path, labels.dimension[0]);
    }
    TRY_TO(done, result, import_begin(import, set, images.dimension[0]));
    TRY_TO(done, result, import_pictures(import, &images, &labels, encoding));
done:
    close_file(&images);
    close_file(&labels);
    return result;
}

static status idx_import(
    const char *source, const char *dataset, const struct import_options *options) {
    const struct idx_options *values = options->values;
    const enum record_encoding encoding = values->encoding == 1 ? RECORD_ZLIB : RECORD_RAW;
    struct import *import = NULL;
    char **names = NULL;
    int classes = (int)values->classes;
    if (!folder_exists(source)) {
        FAIL(STATUS_NOT_FOUND, "%s: no such folder", source);
    }
    status result;
    if (values->names != NULL) {
        TRY_TO(done, result, import_read_names(&names, &classes, values->names));
    }
    TRY_TO(done, result,
        import_create(&import, dataset, options, "idx", classes, (const char *const *)names));
    TRY_TO(done, result, import_set(import, source, "train", "train", encoding));
    TRY_TO(done, result, import_set(import, source, "t10k", "test", encoding));
    TRY_TO(done, result, import_commit(import));
done:
    import_destroy(import);
    import_names_release(names, names != NULL ? classes : 0);
    return result;
}

const struct importer_operations importer_idx = {
    .kind = {"idx", "MNIST and its kin: four IDX files, plain or gzipped", idx_table,
        sizeof(struct idx_options)},
    .import = idx_import,
};
