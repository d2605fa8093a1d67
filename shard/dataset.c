#include "shard/dataset.h"

#include "base/digest.h"
#include "base/memory.h"
#include "io/file.h"
#include "shard/dataset_guard.h"
#include "shard/dataset_yaml.h"
#include "shard/shard_file.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define VERIFY_PROGRESS 256 /* records between two calls of progress */

struct dataset {
    struct dataset_information information;
    char *folder;
    char *copies; /* folder of those that are copied[shard]; NULL: none are */
    bool *copied;
    _Atomic(struct shard_file *) *files; /* [shards], NULL until first used */
    pthread_mutex_t lock;                /* taken to open one */
};

/* How many of `records`, dealt round-robin, lie in one shard. */
static int64_t shard_records(const struct dataset_information *information, int shard) {
    return information->records / information->shards +
           (shard < information->records % information->shards ? 1 : 0);
}

/* A folder that is none, or whose data sets lie one level below. */
static status explain_missing(const char *folder) {
    if (!folder_exists(folder)) {
        FAIL(STATUS_NOT_FOUND, "%s: no such folder", folder);
    }
    const char *below[] = {"train", "test", "validation"};
    for (size_t i = 0; i < sizeof below / sizeof below[0]; i++) {
        char *inner, *path;
        TRY(path_join(&inner, folder, below[i]));
        status result = dataset_yaml_path(&path, inner);
        free(inner);
        TRY(result);
        bool found = file_exists(path);
        free(path);
        if (found) {
            FAIL(STATUS_INPUT, "%s: no data set: it has no dataset.yaml; did you mean %s/%s?",
                folder, folder, below[i]);
        }
    }
    FAIL(STATUS_INPUT, "%s: no data set: it has no dataset.yaml", folder);
}

static status read_information(struct dataset *dataset) {
    char *path;
    TRY(dataset_yaml_path(&path, dataset->folder));
    status result = file_exists(path) ? dataset_yaml_read(&dataset->information, path)
                                      : explain_missing(dataset->folder);
    free(path);
    return result;
}

static status check_shards(struct dataset *dataset) {
    for (int shard = 0; shard < dataset->information.shards; shard++) {
        char *path;
        uint64_t size;
        TRY(shard_file_path(&path, dataset->folder, shard));
        status result = shard_file_check(&size, path, shard_records(&dataset->information, shard));
        free(path);
        TRY(result);
    }
    return STATUS_OK;
}

status dataset_open(struct dataset **dataset, const char *folder) {
    TRY(MEMORY_ALLOCATE(dataset, 1));
    struct dataset *made = *dataset;
    status result;
    pthread_mutex_init(&made->lock, NULL);
    TRY_TO(failed, result, memory_copy_text(&made->folder, folder));
    TRY_TO(failed, result, read_information(made));
    TRY_TO(failed, result, check_shards(made));
    TRY_TO(failed, result, MEMORY_ALLOCATE(&made->files, (size_t)made->information.shards));
    return STATUS_OK;
failed:
    dataset_close(made);
    *dataset = NULL;
    return result;
}

void dataset_close(struct dataset *dataset) {
    if (dataset == NULL) {
        return;
    }
    for (int shard = 0; dataset->files != NULL && shard < dataset->information.shards; shard++) {
        shard_file_close(atomic_load(&dataset->files[shard]));
    }
    free((void *)dataset->files);
    pthread_mutex_destroy(&dataset->lock);
    dataset_information_release(&dataset->information);
    free(dataset->copies);
    free(dataset->copied);
    free(dataset->folder);
    free(dataset);
}

const struct dataset_information *dataset_get_information(const struct dataset *dataset) {
    return &dataset->information;
}

const char *dataset_get_folder(const struct dataset *dataset) {
    return dataset->folder;
}

status dataset_use_copies(struct dataset *dataset, const char *folder, const bool *copied) {
    const size_t shards = (size_t)dataset->information.shards;
    TRY(MEMORY_ALLOCATE(&dataset->copied, shards));
    memcpy(dataset->copied, copied, shards * sizeof *copied);
    return memory_copy_text(&dataset->copies, folder);
}

static status open_shard(struct shard_file **file, struct dataset *dataset, int shard) {
    *file = atomic_load_explicit(&dataset->files[shard], memory_order_acquire);
    if (*file != NULL) {
        return STATUS_OK;
    }
    char *path;
    const bool copy = dataset->copies != NULL && dataset->copied[shard];
    TRY(shard_file_path(&path, copy ? dataset->copies : dataset->folder, shard));
    status result = STATUS_OK;
    pthread_mutex_lock(&dataset->lock);
    *file = atomic_load(&dataset->files[shard]);
    if (*file == NULL) {
        result = shard_file_open(file, path, shard_records(&dataset->information, shard));
        atomic_store(&dataset->files[shard], *file);
    }
    pthread_mutex_unlock(&dataset->lock);
    free(path);
    return result;
}

/* The packed bytes of a record, and the record checked. */
static status read_packed(struct record *record, const void **packed, size_t *size,
    struct dataset *dataset, const struct shard_file *file, int64_t index) {
    TRY(shard_file_read(packed, size, file, index / dataset->information.shards));
    dataset_guard_enter(shard_file_get_guard(file));
    status result = record_unpack(record, *packed, *size);
    dataset_guard_leave();
    TRY(result);
    if (record->number != index) {
        FAIL(STATUS_INPUT, "the shard is damaged: it leads to record %" PRId64, record->number);
    }
    if (record->target.type == TARGET_CLASS &&
        record->target.class_number >= dataset->information.classes) {
        FAIL(STATUS_INPUT, "class number %d, but the data set has %d classes",
            record->target.class_number, dataset->information.classes);
    }
    return STATUS_OK;
}

static status fail_record(status code, const struct dataset *dataset, int64_t index) {
    int shards = dataset->information.shards;
    return status_prefix(code, "%s/shard-%05d.mdb: key %" PRId64 " (record %" PRId64 ")",
        dataset->folder, (int)(index % shards), index / shards, index);
}

static status read_one(struct record *record, const void **packed, size_t *size,
    struct dataset *dataset, int64_t index) {
    if (index < 0 || index >= dataset->information.records) {
        FAIL(STATUS_USAGE, "%s: record %" PRId64 " of %" PRId64, dataset->folder, index,
            dataset->information.records);
    }
    struct shard_file *file;
    TRY(open_shard(&file, dataset, (int)(index % dataset->information.shards)));
    status result = read_packed(record, packed, size, dataset, file, index);
    return result == STATUS_OK ? STATUS_OK : fail_record(result, dataset, index);
}

status dataset_read(struct record *record, struct dataset *dataset, int64_t index) {
    const void *packed;
    size_t size;
    return read_one(record, &packed, &size, dataset, index);
}

status dataset_decode(
    struct picture *picture, struct dataset *dataset, const struct record *record, int channels) {
    status result = record_decode(picture, record, channels);
    return result == STATUS_OK ? STATUS_OK : fail_record(result, dataset, record->number);
}

/* Reads and decodes one record, and takes it into digest and counts. */
static status verify_one(
    uint64_t *digest, int64_t *counts, struct dataset *dataset, int64_t index) {
    struct record record;
    struct picture picture;
    const void *packed;
    size_t size;
    TRY(read_one(&record, &packed, &size, dataset, index));
    TRY(dataset_decode(&picture, dataset, &record, 0));
    picture_release(&picture);
    *digest = digest_add(*digest, packed, size);
    if (record.target.type == TARGET_CLASS) {
        counts[record.target.class_number]++;
    }
    return STATUS_OK;
}

static status verify_totals(const struct dataset *dataset, uint64_t digest, const int64_t *counts) {
    const struct dataset_information *information = &dataset->information;
    char text[17];
    if (strcmp(digest_text(digest, text), information->digest) != 0) {
        FAIL(STATUS_INPUT, "%s: the digest of its records is %s, dataset.yaml says %s",
            dataset->folder, text, information->digest);
    }
    for (int i = 0; i < information->classes; i++) {
        if (counts[i] != information->class_counts[i]) {
            FAIL(STATUS_INPUT, "%s: class %d has %" PRId64 " records, dataset.yaml says %" PRId64,
                dataset->folder, i, counts[i], information->class_counts[i]);
        }
    }
    return STATUS_OK;
}

status dataset_verify(struct dataset *dataset,
    void (*progress)(void *context, int64_t done, int64_t total), void *context) {
    uint64_t digest = 0;
    int64_t *counts, records = dataset->information.records;
    TRY(MEMORY_ALLOCATE(&counts, (size_t)dataset->information.classes));
    status result = STATUS_OK;
    for (int64_t i = 0; i < records; i++) {
        TRY_TO(done, result, verify_one(&digest, counts, dataset, i));
        if (progress != NULL && ((i + 1) % VERIFY_PROGRESS == 0 || i + 1 == records)) {
            progress(context, i + 1, records);
        }
    }
    TRY_TO(done, result, verify_totals(dataset, digest, counts));
done:
    free(counts);
    return result;
}
