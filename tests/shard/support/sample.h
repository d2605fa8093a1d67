/* A small data set whose every pixel is known, and ways to damage files. */
#ifndef TESTS_SHARD_SUPPORT_SAMPLE_H
#define TESTS_SHARD_SUPPORT_SAMPLE_H

#include "shard/dataset.h"

#define SAMPLE_CLASSES 7

/* The pixels and the class of record `record` of the sample. */
uint8_t sample_pixel(int64_t record, int y, int x, int channel);
int32_t sample_class(int64_t record);

struct sample {
    int records, shards, channels, height, width;
    enum record_encoding encoding; /* RECORD_RAW or RECORD_ZLIB */
};

/* Writes the sample as a data set at `folder`. */
status sample_write(const char *folder, const struct sample *sample);

/* Whether a record read back is record `number` of the sample, pixel for pixel. */
bool sample_matches(const struct record *record, int64_t number, const struct sample *sample);

/* Whole files; they abort where a test could not go on. */
void *sample_file_read(size_t *size, const char *path);
void sample_file_write(const char *path, const void *bytes, size_t size);

/* "a/b", in one of 512 static buffers that are used in turn. */
const char *sample_path(const char *folder, const char *name);

/* Runs `child` in a process of its own. Returns its exit code, or -signal. What it wrote to stderr
 * goes to text[size]. */
int sample_run(char *text, size_t size, void (*child)(void *context), void *context);

#endif
