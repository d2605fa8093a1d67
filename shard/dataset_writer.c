#include "base/digest.h"
#include "base/memory.h"
#include "base/tree.h"
#include "shard/dataset.h"
#include "shard/dataset_folder.h"
#include "shard/dataset_yaml.h"
#include "shard/order.h"
#include "shard/shard_file.h"
#include "shard/shard_writer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PENDING ((size_t)64 << 20) /* bytes that all shards together hold back in memory */

struct dataset_writer {
    struct dataset_folder folder;
    struct dataset_information information;
    struct shard_writer **shards; /* [information.shards] */
    uint64_t digest;
    bool sizes_differ, finished;
    uint64_t pixels; /* so many, and of each channel the sum and the sum of squares, exactly */
    uint64_t sum[3], square[3];
};

static status copy_options(
    struct dataset_information *information, const struct dataset_writer_options *options) {
    if (!tree_is_power_of_two(options->shards) || options->shards > SHARD_LIMIT) {
        FAIL(STATUS_USAGE, "%d shards: must be a power of two, at most %d", options->shards,
            SHARD_LIMIT);
    }
    if (options->classes < 0 || options->classes > DATASET_CLASSES_LIMIT) {
        FAIL(STATUS_INPUT, "%d classes: must be 0 to %d", options->classes, DATASET_CLASSES_LIMIT);
    }
    information->shards = options->shards;
    TRY(memory_copy_text(&information->format, options->format));
    TRY(MEMORY_ALLOCATE(&information->class_counts, (size_t)options->classes));
    information->classes = options->classes;
    if (options->class_names != NULL) {
        TRY(MEMORY_ALLOCATE(&information->class_names, (size_t)options->classes));
        for (int i = 0; i < options->classes; i++) {
            TRY(memory_copy_text(&information->class_names[i], options->class_names[i]));
        }
    }
    return STATUS_OK;
}

static status open_shards(struct dataset_writer *writer) {
    int shards = writer->information.shards;
    TRY(MEMORY_ALLOCATE(&writer->shards, (size_t)shards));
    for (int i = 0; i < shards; i++) {
        char *path;
        TRY(shard_file_path(&path, writer->folder.temporary, i));
        status result = shard_writer_open(&writer->shards[i], path, PENDING / (size_t)shards);
        free(path);
        TRY(result);
    }
    return STATUS_OK;
}

status dataset_writer_create(struct dataset_writer **writer, const char *folder,
    const struct dataset_writer_options *options) {
    TRY(MEMORY_ALLOCATE(writer, 1));
    status result;
    TRY_TO(failed, result, copy_options(&(*writer)->information, options));
    TRY_TO(failed, result, dataset_folder_begin(&(*writer)->folder, folder, options->replace));
    TRY_TO(failed, result, open_shards(*writer));
    return STATUS_OK;
failed:
    dataset_writer_destroy(*writer);
    *writer = NULL;
    return result;
}

/* Grey counts for each channel of a coloured data set, as it will be decoded. */
static void add_statistics(struct dataset_writer *writer, const struct picture *picture) {
    size_t pixels = (size_t)picture->height * (size_t)picture->width;
    size_t channels = (size_t)picture->channels;
    uint64_t sum[3] = {0}, square[3] = {0};
    for (size_t i = 0; i < pixels; i++) {
        for (size_t c = 0; c < channels; c++) {
            uint64_t value = picture->pixels[i * channels + c];
            sum[c] += value;
            square[c] += value * value;
        }
    }
    for (size_t c = 0; c < 3; c++) {
        writer->sum[c] += sum[channels == 3 ? c : 0];
        writer->square[c] += square[channels == 3 ? c : 0];
    }
    writer->pixels += pixels;
}

static void add_shape(struct dataset_writer *writer, struct shape shape) {
    struct shape *whole = &writer->information.shape;
    if (writer->information.records == 0) {
        *whole = shape;
    }
    writer->sizes_differ =
        writer->sizes_differ || whole->height != shape.height || whole->width != shape.width;
    if (shape.channels > whole->channels) {
        whole->channels = shape.channels;
    }
}

static status check_record(const struct dataset_writer *writer, const struct record *record) {
    const struct dataset_information *information = &writer->information;
    if (information->records == ORDER_RECORDS_LIMIT) {
        FAIL(STATUS_INPUT, "more than %lld records", (long long)ORDER_RECORDS_LIMIT);
    }
    if (record->target.type == TARGET_CLASS &&
        (record->target.class_number < 0 || record->target.class_number >= information->classes)) {
        FAIL(STATUS_INPUT, "label %d: must be 0 to %d", record->target.class_number,
            information->classes - 1);
    }
    return STATUS_OK;
}

static status add_packed(struct dataset_writer *writer, const struct record *record) {
    struct dataset_information *information = &writer->information;
    struct record numbered = *record;
    numbered.number = information->records;
    void *packed;
    size_t size;
    TRY(record_pack(&packed, &size, &numbered));
    status result =
        shard_writer_add(writer->shards[numbered.number % information->shards], packed, size);
    writer->digest = digest_add(writer->digest, packed, size);
    free(packed);
    return result;
}

status dataset_writer_add(
    struct dataset_writer *writer, const struct record *record, const struct picture *decoded) {
    TRY(check_record(writer, record));
    if (decoded != NULL) {
        add_statistics(writer, decoded);
    } else {
        struct picture picture;
        TRY(record_decode(&picture, record, 0));
        add_statistics(writer, &picture);
        picture_release(&picture);
    }
    TRY(add_packed(writer, record));
    add_shape(writer, record->shape);
    if (record->target.type == TARGET_CLASS) {
        writer->information.class_counts[record->target.class_number]++;
    }
    writer->information.records++;
    return STATUS_OK;
}

static void finish_information(struct dataset_writer *writer) {
    struct dataset_information *information = &writer->information;
    if (writer->sizes_differ) {
        information->shape.height = information->shape.width = 0;
    }
    information->mean_count = information->shape.channels;
    for (int c = 0; c < information->mean_count; c++) {
        double pixels = (double)writer->pixels;
        double mean = (double)writer->sum[c] / pixels;
        double variance = (double)writer->square[c] / pixels - mean * mean;
        information->mean[c] = mean / 255;
        information->deviation[c] = sqrt(variance > 0 ? variance : 0) / 255;
    }
    digest_text(writer->digest, information->digest);
}

/* Written, and read back once: what cannot be read must not get its final name. */
static status write_yaml(const struct dataset_writer *writer) {
    char *path;
    struct dataset_information back = {0};
    TRY(dataset_yaml_path(&path, writer->folder.temporary));
    status result;
    TRY_TO(done, result, dataset_yaml_write(path, &writer->information));
    TRY_TO(done, result, dataset_yaml_read(&back, path));
done:
    dataset_information_release(&back);
    free(path);
    return result;
}

status dataset_writer_finish(struct dataset_writer *writer) {
    if (writer->information.records == 0) {
        FAIL(
            STATUS_INPUT, "%s: not one record: a data set must not be empty", writer->folder.final);
    }
    for (int i = 0; i < writer->information.shards; i++) {
        TRY(shard_writer_finish(writer->shards[i]));
        shard_writer_destroy(writer->shards[i]);
        writer->shards[i] = NULL;
    }
    finish_information(writer);
    TRY(write_yaml(writer));
    writer->finished = true;
    return STATUS_OK;
}

status dataset_writer_commit(struct dataset_writer *writer) {
    if (!writer->finished) {
        TRY(dataset_writer_finish(writer));
    }
    return dataset_folder_commit(&writer->folder);
}

void dataset_writer_destroy(struct dataset_writer *writer) {
    if (writer == NULL) {
        return;
    }
    for (int i = 0; writer->shards != NULL && i < writer->information.shards; i++) {
        shard_writer_destroy(writer->shards[i]);
    }
    free(writer->shards);
    dataset_folder_release(&writer->folder);
    dataset_information_release(&writer->information);
    free(writer);
}
