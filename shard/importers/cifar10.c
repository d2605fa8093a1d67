/* cifar10: the binary version of CIFAR-10 (Krizhevsky 2009): data_batch_1.bin to data_batch_5.bin,
 * test_batch.bin, and batches.meta.txt with the names of the classes. A record is one byte of label
 * and 3 planes of 32 x 32 bytes: red, green, blue.
 */
#include "shard/import.h"

#include "base/memory.h"
#include "io/file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { SIDE = 32, PLANE = SIDE * SIDE, RECORD = 1 + 3 * PLANE };

struct cifar10_options {
    int encoding;
};

static const char *const encodings[] = {"raw", "zlib", NULL};

static const struct option cifar10_table[] = {
    {"encoding", OPTION_NAME, offsetof(struct cifar10_options, encoding), .initial = "raw",
        .names = encodings, .help = "how pixels are kept"},
    OPTIONS_END};

/* Records of a file, by its size. */
static status count_records(int64_t *count, const char *path) {
    struct stat about;
    if (stat(path, &about) != 0) {
        FAIL(errno == ENOENT ? STATUS_NOT_FOUND : STATUS_SYSTEM, "%s: %s", path, strerror(errno));
    }
    if (about.st_size == 0 || about.st_size % RECORD != 0) {
        FAIL(STATUS_INPUT, "%s: %lld bytes: must be a multiple of %d, one or more records", path,
            (long long)about.st_size, RECORD);
    }
    *count = about.st_size / RECORD;
    return STATUS_OK;
}

static status add_record(
    struct import *import, const unsigned char *bytes, enum record_encoding encoding) {
    uint8_t pixels[3 * PLANE];
    struct picture picture = {.channels = 3, .height = SIDE, .width = SIDE, .pixels = pixels};
    for (int i = 0; i < PLANE; i++) {
        for (int c = 0; c < 3; c++) {
            pixels[3 * i + c] = bytes[1 + c * PLANE + i];
        }
    }
    void *owned;
    struct record record = {.target = {.type = TARGET_CLASS, .class_number = bytes[0]}};
    TRY(record_encode(&record, &owned, &picture, encoding, 0));
    status result = import_add(import, &record, &picture);
    free(owned);
    return result;
}

static status import_file(
    struct import *import, const char *path, int64_t count, enum record_encoding encoding) {
    unsigned char bytes[RECORD];
    FILE *file = fopen(path, "rbe");
    if (file == NULL) {
        FAIL(STATUS_SYSTEM, "%s: %s", path, strerror(errno));
    }
    status result = STATUS_OK;
    for (int64_t i = 0; i < count && result == STATUS_OK; i++) {
        if (fread(bytes, RECORD, 1, file) != 1) {
            result = status_fail(STATUS_INPUT, __FILE__, __LINE__, __func__,
                "%s: ends early, in record %lld", path, (long long)i);
            break;
        }
        result = add_record(import, bytes, encoding);
        if (result != STATUS_OK) {
            status_prefix(result, "%s: record %lld", path, (long long)i);
        }
    }
    fclose(file);
    return result;
}

/* One set from `count` files. */
static status import_set(struct import *import, const char *set, char *const *paths, int count,
    enum record_encoding encoding) {
    int64_t records[5], total = 0;
    for (int i = 0; i < count; i++) {
        TRY(count_records(&records[i], paths[i]));
        total += records[i];
    }
    TRY(import_begin(import, set, total));
    for (int i = 0; i < count; i++) {
        TRY(import_file(import, paths[i], records[i], encoding));
    }
    return STATUS_OK;
}

static status cifar10_import(
    const char *source, const char *dataset, const struct import_options *options) {
    const char *const files[] = {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin",
        "data_batch_4.bin", "data_batch_5.bin", "test_batch.bin", "batches.meta.txt"};
    enum { FILES = sizeof files / sizeof files[0], TEST = FILES - 2, NAMES = FILES - 1 };
    const struct cifar10_options *values = options->values;
    const enum record_encoding encoding = values->encoding == 1 ? RECORD_ZLIB : RECORD_RAW;
    char *paths[FILES] = {NULL}, **names = NULL;
    int classes = 0;
    struct import *import = NULL;
    status result;
    for (int i = 0; i < FILES; i++) {
        TRY_TO(done, result, path_join(&paths[i], source, files[i]));
    }
    TRY_TO(done, result, import_read_names(&names, &classes, paths[NAMES]));
    TRY_TO(done, result,
        import_create(&import, dataset, options, "cifar10", classes, (const char *const *)names));
    TRY_TO(done, result, import_set(import, "train", paths, TEST, encoding));
    TRY_TO(done, result, import_set(import, "test", &paths[TEST], 1, encoding));
    TRY_TO(done, result, import_commit(import));
done:
    import_destroy(import);
    import_names_release(names, classes);
    for (int i = 0; i < FILES; i++) {
        free(paths[i]);
    }
    return result;
}

const struct importer_operations importer_cifar10 = {
    .kind = {"cifar10", "CIFAR-10, the binary version", cifar10_table,
        sizeof(struct cifar10_options)},
    .import = cifar10_import,
};
