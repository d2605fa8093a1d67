/* A data set: a folder with S LMDB shards and dataset.yaml.
 *
 * DATASET/dataset.yaml       counts, classes, shape, statistics, digest
 * DATASET/shard-00000.mdb    record i lies in shard i mod S under the key i div S
 *                            (8 bytes, big-endian), S a power of two
 *
 * LMDB knows no checksums and dies of SIGBUS on a file that is cut short: sizes are checked against
 * the file's own meta pages before use, every record carries its CRC, and while a data set is open
 * a handler turns SIGBUS and SIGSEGV inside a shard's mapping into one line that names the shard.
 * Shards are opened read-only and without locks, once a process, never across a fork; reading is
 * thread-safe.
 */
#ifndef SHARD_DATASET_H
#define SHARD_DATASET_H

#include "base/shape.h"
#include "base/status.h"
#include "shard/record.h"

#include <stdbool.h>
#include <stdint.h>

struct dataset_information {
    int64_t records;
    int shards;
    int classes;
    char **class_names;    /* [classes], or NULL */
    int64_t *class_counts; /* [classes] */
    struct shape shape;    /* of every picture; height = width = 0 where they differ */
    int mean_count;        /* channels of mean and deviation */
    double mean[4];        /* of pixel / 255, per channel */
    double deviation[4];
    char digest[17]; /* over all packed records in order */
    char *format;    /* importer that made it */
};

struct dataset;

/* Opens and checks dataset.yaml and the size of every shard; opens shards on first use. Fails with
 * STATUS_NOT_FOUND (no such folder) or STATUS_INPUT (foreign, empty or damaged), naming the file.
 */
status dataset_open(struct dataset **dataset, const char *folder);
void dataset_close(struct dataset *dataset);
const struct dataset_information *dataset_get_information(const struct dataset *dataset);
const char *dataset_get_folder(const struct dataset *dataset);

/* Has the shards that are copied[shard] read from `folder` instead (shard/stage.h). Before the
 * first record is read. */
status dataset_use_copies(struct dataset *dataset, const char *folder, const bool *copied);

/* Reads record `index` (0 .. records-1). The record's bytes are borrowed from the mapping until
 * dataset_close. Fails with STATUS_INPUT naming shard, key and reason. Thread-safe. */
status dataset_read(struct record *record, struct dataset *dataset, int64_t index);

/* Decodes a record that dataset_read gave, to `channels` (1 or 3; 0 keeps them); freed by
 * picture_release. Fails with STATUS_INPUT naming shard, key and reason. Thread-safe. */
status dataset_decode(
    struct picture *picture, struct dataset *dataset, const struct record *record, int channels);

/* Reads every record, decodes it, and compares the digest and the counts of the classes; calls
 * `progress` (or NULL) now and then. */
status dataset_verify(struct dataset *dataset,
    void (*progress)(void *context, int64_t done, int64_t total), void *context);

/* Writing, for importers. Records are dealt round-robin in the order of dataset_writer_add. Nothing
 * is seen under `folder` until commit: shards are written in FOLDER.tmp-<pid> and renamed; an
 * existing data set is refused with STATUS_USAGE unless `replace`. Pixels of the decoded picture
 * go into the statistics. */
struct dataset_writer;
struct dataset_writer_options {
    int shards; /* power of two */
    bool replace;
    const char *format;
    int classes;
    const char *const *class_names; /* or NULL */
};
status dataset_writer_create(struct dataset_writer **writer, const char *folder,
    const struct dataset_writer_options *options);
/* `decoded` holds the pixels of `record`, for statistics; NULL: they are decoded here. */
status dataset_writer_add(
    struct dataset_writer *writer, const struct record *record, const struct picture *decoded);
/* Everything that may fail but the rename: the temporary folder is complete and on disk. */
status dataset_writer_finish(struct dataset_writer *writer);
/* Finishes if that was not done, and renames. */
status dataset_writer_commit(struct dataset_writer *writer);
/* Frees; abandons what was not committed. */
void dataset_writer_destroy(struct dataset_writer *writer);

#endif
