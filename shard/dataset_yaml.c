#include "shard/dataset_yaml.h"

#include "base/memory.h"
#include "base/options.h"
#include "io/file.h"
#include "io/yaml.h"
#include "shard/order.h"
#include "shard/shard_file.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define VERSION "1"

struct fields {
    int64_t version, records, shards, classes, channels, height, width;
    const char *format, *digest;
    struct option_texts class_names;
    struct option_reals class_counts, mean, deviation;
};

static const struct option table[] = {
    {"version", OPTION_INTEGER, offsetof(struct fields, version), .low = 1, .high = 1,
        .flags = OPTION_REQUIRED, .help = "of this format"},
    {"format", OPTION_TEXT, offsetof(struct fields, format), .flags = OPTION_REQUIRED,
        .help = "importer that made it"},
    {"records", OPTION_INTEGER, offsetof(struct fields, records), .low = 1,
        .high = (double)ORDER_RECORDS_LIMIT, .flags = OPTION_REQUIRED, .help = "how many"},
    {"shards", OPTION_INTEGER, offsetof(struct fields, shards), .low = 1, .high = SHARD_LIMIT,
        .flags = OPTION_REQUIRED, .help = "a power of two"},
    {"channels", OPTION_INTEGER, offsetof(struct fields, channels), .low = 1, .high = 3,
        .flags = OPTION_REQUIRED, .help = "1 or 3"},
    {"height", OPTION_INTEGER, offsetof(struct fields, height), .low = 0, .high = 1 << 28,
        .flags = OPTION_REQUIRED, .help = "of every picture; 0 where they differ"},
    {"width", OPTION_INTEGER, offsetof(struct fields, width), .low = 0, .high = 1 << 28,
        .flags = OPTION_REQUIRED, .help = "of every picture; 0 where they differ"},
    {"mean", OPTION_REALS, offsetof(struct fields, mean), .low = 0, .high = 1,
        .flags = OPTION_REQUIRED, .help = "of pixel / 255, per channel"},
    {"deviation", OPTION_REALS, offsetof(struct fields, deviation), .low = 0, .high = 1,
        .flags = OPTION_REQUIRED, .help = "of pixel / 255, per channel"},
    {"digest", OPTION_TEXT, offsetof(struct fields, digest), .flags = OPTION_REQUIRED,
        .help = "over all packed records in order"},
    {"classes", OPTION_INTEGER, offsetof(struct fields, classes), .low = 0,
        .high = DATASET_CLASSES_LIMIT, .flags = OPTION_REQUIRED, .help = "how many"},
    {"class_counts", OPTION_REALS, offsetof(struct fields, class_counts), .low = 0,
        .high = (double)ORDER_RECORDS_LIMIT, .help = "records of each class"},
    {"class_names", OPTION_TEXTS, offsetof(struct fields, class_names), .help = "of each class"},
    OPTIONS_END};

status dataset_yaml_path(char **path, const char *folder) {
    return path_join(path, folder, "dataset.yaml");
}

static status check(const struct fields *fields, const char *path) {
    if ((fields->shards & (fields->shards - 1)) != 0) {
        FAIL(STATUS_INPUT, "%s: shards: %lld: must be a power of two", path,
            (long long)fields->shards);
    }
    if (fields->channels == 2 || (fields->height == 0) != (fields->width == 0) ||
        (fields->width > 0 && (size_t)fields->height > PICTURE_LIMIT / (size_t)fields->width)) {
        FAIL(STATUS_INPUT, "%s: pictures of %lldx%lldx%lld: no such shape", path,
            (long long)fields->channels, (long long)fields->height, (long long)fields->width);
    }
    if (fields->mean.count != fields->channels || fields->deviation.count != fields->channels) {
        FAIL(STATUS_INPUT,
            "%s: mean and deviation have %d and %d numbers, the pictures %lld channels", path,
            fields->mean.count, fields->deviation.count, (long long)fields->channels);
    }
    if (strlen(fields->digest) != 16 || strspn(fields->digest, "0123456789abcdef") != 16) {
        FAIL(STATUS_INPUT, "%s: digest: \"%.40s\": must be 16 hexadecimal digits", path,
            fields->digest);
    }
    if (fields->class_counts.count != fields->classes ||
        (fields->class_names.count != 0 && fields->class_names.count != fields->classes)) {
        FAIL(STATUS_INPUT, "%s: %lld classes, but %d class_counts and %d class_names", path,
            (long long)fields->classes, fields->class_counts.count, fields->class_names.count);
    }
    double sum = 0;
    for (int i = 0; i < fields->class_counts.count; i++) {
        double count = fields->class_counts.values[i];
        if (count != floor(count)) {
            FAIL(STATUS_INPUT, "%s: class_counts: %g is no whole number", path, count);
        }
        sum += count;
    }
    if (sum > (double)fields->records) {
        FAIL(STATUS_INPUT, "%s: class_counts add up to %.0f of %lld records", path, sum,
            (long long)fields->records);
    }
    return STATUS_OK;
}

static status copy(struct dataset_information *information, const struct fields *fields) {
    information->records = fields->records;
    information->shards = (int)fields->shards;
    information->shape =
        (struct shape){(int)fields->channels, (int)fields->height, (int)fields->width};
    information->mean_count = fields->mean.count;
    for (int i = 0; i < fields->mean.count; i++) {
        information->mean[i] = fields->mean.values[i];
        information->deviation[i] = fields->deviation.values[i];
    }
    memcpy(information->digest, fields->digest, sizeof information->digest);
    TRY(memory_copy_text(&information->format, fields->format));
    size_t classes = (size_t)fields->classes;
    TRY(MEMORY_ALLOCATE(&information->class_counts, classes));
    information->classes = (int)fields->classes;
    for (size_t i = 0; i < classes; i++) {
        information->class_counts[i] = (int64_t)fields->class_counts.values[i];
    }
    if (fields->class_names.count > 0) {
        TRY(MEMORY_ALLOCATE(&information->class_names, classes));
        for (size_t i = 0; i < classes; i++) {
            TRY(memory_copy_text(&information->class_names[i], fields->class_names.values[i]));
        }
    }
    return STATUS_OK;
}

status dataset_yaml_read(struct dataset_information *information, const char *path) {
    *information = (struct dataset_information){0};
    struct document document;
    struct pool pool;
    struct fields fields = {0};
    document_init(&document);
    pool_init(&pool);
    struct node *root;
    status result;
    TRY_TO(done, result, yaml_load(&document, &root, path));
    TRY_TO(done, result, options_parse(&fields, table, root, &pool));
    TRY_TO(done, result, check(&fields, path));
    TRY_TO(done, result, copy(information, &fields));
done:
    pool_release(&pool);
    document_release(&document);
    return result == STATUS_USAGE ? STATUS_INPUT : result; /* nobody typed this file */
}

/* A text in double quotes, as YAML 1.1 escapes it. */
static void write_text(FILE *out, const char *text) {
    fputc('"', out);
    for (const unsigned char *at = (const unsigned char *)text; *at != 0; at++) {
        if (*at == '"' || *at == '\\') {
            fprintf(out, "\\%c", *at);
        } else if (*at < 0x20 || *at == 0x7f) {
            fprintf(out, "\\x%02x", *at);
        } else {
            fputc(*at, out);
        }
    }
    fputc('"', out);
}

static void write_reals(FILE *out, const char *key, const double *values, int count) {
    fprintf(out, "%s: [", key);
    for (int i = 0; i < count; i++) {
        fprintf(out, "%s%.17g", i > 0 ? ", " : "", values[i]);
    }
    fputs("]\n", out);
}

static void write_classes(FILE *out, const struct dataset_information *information) {
    fprintf(out, "classes: %d\nclass_counts: [", information->classes);
    for (int i = 0; i < information->classes; i++) {
        fprintf(out, "%s%lld",
            i == 0        ? ""
            : i % 16 == 0 ? ",\n  "
                          : ", ",
            (long long)information->class_counts[i]);
    }
    fputs("]\n", out);
    if (information->class_names != NULL) {
        fputs("class_names:\n", out);
        for (int i = 0; i < information->classes; i++) {
            fputs("  - ", out);
            write_text(out, information->class_names[i]);
            fputc('\n', out);
        }
    }
}

status dataset_yaml_write(const char *path, const struct dataset_information *information) {
    struct atomic_file file;
    TRY(atomic_file_open(&file, path));
    FILE *out = file.stream;
    fputs("# A data set of Convoy: written by `convoy import`, not by hand.\n", out);
    fprintf(out, "version: %s\nformat: ", VERSION);
    write_text(out, information->format);
    fprintf(out, "\nrecords: %lld\nshards: %d\nchannels: %d\nheight: %d\nwidth: %d\n",
        (long long)information->records, information->shards, information->shape.channels,
        information->shape.height, information->shape.width);
    write_reals(out, "mean", information->mean, information->mean_count);
    write_reals(out, "deviation", information->deviation, information->mean_count);
    fprintf(out, "digest: \"%s\"\n", information->digest);
    write_classes(out, information);
    return atomic_file_commit(&file);
}

void dataset_information_release(struct dataset_information *information) {
    if (information->class_names != NULL) {
        for (int i = 0; i < information->classes; i++) {
            free(information->class_names[i]);
        }
    }
    free(information->class_names);
    free(information->class_counts);
    free(information->format);
    *information = (struct dataset_information){0};
}
