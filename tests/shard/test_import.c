#include "io/file.h"
#include "shard/dataset.h"
#include "support/run_import.h"
#include "support/sample.h"
#include "support/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

static void put_big_endian(unsigned char *at, uint32_t value) {
    for (int i = 0; i < 4; i++) {
        at[i] = (unsigned char)(value >> (24 - 8 * i));
    }
}

static uint8_t idx_pixel(int set, uint32_t record, uint32_t at) {
    return (uint8_t)((uint32_t)set * 7 + record * 31 + at * 3);
}

/* An IDX file of pictures 4 high and 3 wide, or of labels; bytes of it to path, gzipped or not. */
static size_t make_idx(unsigned char *bytes, int set, bool images, uint32_t records) {
    put_big_endian(bytes, images ? 0x00000803 : 0x00000801);
    put_big_endian(bytes + 4, records);
    size_t at = 8;
    if (images) {
        put_big_endian(bytes + 8, 4);
        put_big_endian(bytes + 12, 3);
        at = 16;
    }
    for (uint32_t i = 0; i < records; i++) {
        for (uint32_t k = 0; k < (images ? 12 : 1); k++) {
            bytes[at++] = images ? idx_pixel(set, i, k) : (unsigned char)(i % 10);
        }
    }
    return at;
}

static void write_gzip(const char *path, const void *bytes, size_t size) {
    gzFile file = gzopen(path, "wb");
    CU_ASSERT_EQUAL(gzwrite(file, bytes, (unsigned)size), (int)size);
    gzclose(file);
}

static const char *const idx_names[2][2] = {{"train-images-idx3-ubyte", "train-labels-idx1-ubyte"},
    {"t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"}};
static const uint32_t idx_records[2] = {40, 11};

/* The four files; `zipped`: labels stay plain, pictures become .gz. */
static const char *make_idx_source(bool zipped) {
    static unsigned char bytes[4096];
    const char *folder = test_folder();
    for (int set = 0; set < 2; set++) {
        for (int kind = 0; kind < 2; kind++) {
            size_t size = make_idx(bytes, set, kind == 0, idx_records[set]);
            char path[512];
            snprintf(path, sizeof path, "%s/%s%s", folder, idx_names[set][kind],
                zipped && kind == 0 ? ".gz" : "");
            if (zipped && kind == 0) {
                write_gzip(path, bytes, size);
            } else {
                sample_file_write(path, bytes, size);
            }
        }
    }
    return folder;
}

static void check_idx_record(struct dataset *dataset, int64_t i, int set, uint32_t from) {
    struct record record;
    struct picture picture;
    CU_ASSERT_EQUAL_FATAL(dataset_read(&record, dataset, i), STATUS_OK);
    CU_ASSERT_EQUAL(record.target.class_number, (int)(from % 10));
    CU_ASSERT(shape_equal(record.shape, (struct shape){1, 4, 3}));
    CU_ASSERT_EQUAL_FATAL(record_decode(&picture, &record, 1), STATUS_OK);
    for (uint32_t k = 0; k < 12; k++) {
        CU_ASSERT_EQUAL(picture.pixels[k], idx_pixel(set, from, k));
    }
    picture_release(&picture);
}

static void test_import__idx_plain_and_gzipped(void) {
    const char *above = test_folder();
    for (int zipped = 0; zipped < 2; zipped++) {
        const char *source = make_idx_source(zipped);
        const char *target = sample_path(above, zipped ? "b" : "a");
        import_told = 0;
        CU_ASSERT_EQUAL_FATAL(run_import("idx", source, target, "{shards: 4}",
                                  zipped ? "{encoding: zlib}" : "{encoding: raw}"),
            STATUS_OK);
        CU_ASSERT_EQUAL(import_told, 2);
        for (int set = 0; set < 2; set++) {
            struct dataset *dataset;
            CU_ASSERT_EQUAL_FATAL(
                dataset_open(&dataset, sample_path(target, set == 0 ? "train" : "test")),
                STATUS_OK);
            const struct dataset_information *information = dataset_get_information(dataset);
            CU_ASSERT_EQUAL(information->records, idx_records[set]);
            CU_ASSERT_EQUAL(information->classes, 10);
            CU_ASSERT_STRING_EQUAL(information->format, "idx");
            for (uint32_t i = 0; i < idx_records[set]; i++) {
                check_idx_record(dataset, i, set, i);
            }
            CU_ASSERT_EQUAL(dataset_verify(dataset, NULL, NULL), STATUS_OK);
            dataset_close(dataset);
        }
    }
}

static void test_import__idx_takes_names_of_classes(void) {
    const char *source = make_idx_source(false), *target = sample_path(test_folder(), "set");
    const char *names = sample_path(source, "names.txt");
    char own[600];
    sample_file_write(names, "a\r\nb c\nd\ne\nf\ng\nh\ni\nj\nk\n\n", 24);
    snprintf(own, sizeof own, "{names: %s}", names);
    CU_ASSERT_EQUAL_FATAL(run_import("idx", source, target, "{}", own), STATUS_OK);
    struct dataset *dataset;
    CU_ASSERT_EQUAL_FATAL(dataset_open(&dataset, sample_path(target, "train")), STATUS_OK);
    CU_ASSERT_STRING_EQUAL(dataset_get_information(dataset)->class_names[0], "a");
    CU_ASSERT_STRING_EQUAL(dataset_get_information(dataset)->class_names[1], "b c");
    CU_ASSERT_STRING_EQUAL(dataset_get_information(dataset)->class_names[9], "k");
    dataset_close(dataset);
    sample_file_write(names, "a\n\nb\n", 5);
    TEST_ASSERT_FAILS(
        run_import("idx", source, sample_path(source, "set"), "{}", own), "line 2 is empty");
}

/* Every record in one of the two sets, in order, as many as asked, another choice for another
 * seed. */
static void test_import__split_deals_every_record_once(void) {
    const char *source = make_idx_source(false);
    uint64_t chosen[3] = {0};
    for (int i = 0; i < 3; i++) {
        const char *target = sample_path(test_folder(), "set");
        const char *sets[2] = {"train", "validation"};
        uint64_t seen = 0;
        CU_ASSERT_EQUAL_FATAL(
            run_import("idx", source, target,
                i < 2 ? "{shards: 2, split: 0.25, seed: 3}" : "{shards: 2, split: 0.25, seed: 4}",
                "{}"),
            STATUS_OK);
        for (int set = 0; set < 2; set++) {
            struct dataset *dataset;
            CU_ASSERT_EQUAL_FATAL(
                dataset_open(&dataset, sample_path(target, sets[set])), STATUS_OK);
            int64_t records = dataset_get_information(dataset)->records;
            CU_ASSERT_EQUAL(records, set == 0 ? 30 : 10);
            for (int64_t k = 0; k < records; k++) {
                struct record record;
                CU_ASSERT_EQUAL_FATAL(dataset_read(&record, dataset, k), STATUS_OK);
                uint32_t from = 0; /* the first pixel gives it away: 31 is odd, so it is unique */
                while (idx_pixel(0, from, 0) != *(const uint8_t *)record.bytes) {
                    from++;
                }
                CU_ASSERT_FATAL(from < 40);
                check_idx_record(dataset, k, 0, from);
                CU_ASSERT_EQUAL(seen >> from & 1, 0);
                seen |= (uint64_t)1 << from;
                chosen[i] |= (uint64_t)set << from;
            }
            dataset_close(dataset);
        }
        CU_ASSERT_EQUAL(seen, ((uint64_t)1 << 40) - 1);
        CU_ASSERT(folder_exists(sample_path(target, "test")));
    }
    CU_ASSERT_EQUAL(chosen[0], chosen[1]);
    CU_ASSERT_NOT_EQUAL(chosen[0], chosen[2]);
}

/* One file of a good source replaced. */
static void refuse_idx(const char *name, const void *bytes, size_t size, const char *message) {
    static const char *source;
    if (source == NULL) {
        source = make_idx_source(false);
    }
    size_t old_size;
    void *old = sample_file_read(&old_size, sample_path(source, name));
    sample_file_write(sample_path(source, name), bytes, size);
    refuse_import("idx", source, "{shards: 2}", "{}", name);
    refuse_import("idx", source, "{shards: 2}", "{}", message);
    sample_file_write(sample_path(source, name), old, old_size);
    free(old);
}

static void test_import__idx_refuses_what_is_wrong(void) {
    static unsigned char bytes[4096];
    size_t size = make_idx(bytes, 0, true, 40);
    refuse_idx(idx_names[0][0], bytes, size - 1, "ends early, in element 39");
    refuse_idx(idx_names[0][0], bytes, 16, "ends early, in element 0");
    refuse_idx(idx_names[0][0], bytes, 15, "ends early, in the header");
    refuse_idx(idx_names[0][0], bytes, 0, "ends early, in the header");
    refuse_idx(idx_names[0][0], bytes, size + 1, "goes on after the 40 elements");
    refuse_idx(idx_names[0][1], bytes, size, "no IDX file of bytes in 1 dimensions");
    size = make_idx(bytes, 0, true, 39);
    refuse_idx(idx_names[0][0], bytes, size, "has 39 pictures, but");
    put_big_endian(bytes + 4, UINT32_MAX);
    refuse_idx(idx_names[0][0], bytes, size, "4294967295 pictures");
    put_big_endian(bytes + 8, 70000);
    refuse_idx(idx_names[0][0], bytes, size, "dimension 1 is 70000");
    put_big_endian(bytes + 8, 0);
    refuse_idx(idx_names[0][0], bytes, size, "dimension 1 is 0");
    size = make_idx(bytes, 1, false, 11);
    bytes[8 + 7] = 10;
    refuse_idx(idx_names[1][1], bytes, size, "element 7: label 10: must be 0 to 9");
    bytes[8 + 7] = 7;
    bytes[3] = 3;
    refuse_idx(idx_names[1][1], bytes, size, "no IDX file of bytes in 1 dimensions");
    refuse_import("idx", sample_path(test_folder(), "none"), "{}", "{}", "no such folder");
    refuse_import(
        "idx", test_folder(), "{}", "{}", "no train-images-idx3-ubyte, plain or with .gz");
    const char *source = make_idx_source(false);
    unlink(sample_path(source, idx_names[1][1]));
    refuse_import("idx", source, "{}", "{}", "no t10k-labels-idx1-ubyte");
    refuse_import("idx", make_idx_source(false), "{shards: 3}", "{}", "power of two");
    refuse_import("idx", make_idx_source(false), "{split: 0.001}", "{}", "sets empty");
}

static void test_import__gzip_that_is_damaged_is_refused(void) {
    const char *source = make_idx_source(true);
    const char *path = sample_path(source, "train-images-idx3-ubyte.gz");
    size_t size;
    unsigned char *bytes = sample_file_read(&size, path);
    for (size_t cut = 1; cut <= 40; cut += 3) {
        sample_file_write(path, bytes, size - cut);
        refuse_import("idx", source, "{shards: 1}", "{}", "train-images-idx3-ubyte.gz");
    }
    bytes[size - 6] ^= 1; /* in the checksum at its end */
    sample_file_write(path, bytes, size);
    refuse_import("idx", source, "{shards: 1}", "{}", "train-images-idx3-ubyte.gz");
    free(bytes);
}

/* Debian's copy of Fashion-MNIST, a few seconds' worth. */
static void test_import__fashion_mnist_of_debian(void) {
    const char *source = "/usr/share/datasets/fashion-mnist";
    if (!folder_exists(source)) {
        printf("\n  skipped: %s is not there (Debian's dataset-fashion-mnist)\n", source);
        CU_PASS("skipped");
        return;
    }
    const char *target = sample_path(test_folder(), "set");
    CU_ASSERT_EQUAL_FATAL(run_import("idx", source, target, "{shards: 16}", "{}"), STATUS_OK);
    struct dataset *dataset;
    CU_ASSERT_EQUAL_FATAL(dataset_open(&dataset, sample_path(target, "train")), STATUS_OK);
    const struct dataset_information *information = dataset_get_information(dataset);
    CU_ASSERT_EQUAL(information->records, 60000);
    for (int i = 0; i < 10; i++) {
        CU_ASSERT_EQUAL(information->class_counts[i], 6000);
    }
    /* The figures that everybody uses. */
    CU_ASSERT_DOUBLE_EQUAL(information->mean[0], 0.2860, 5e-5);
    CU_ASSERT_DOUBLE_EQUAL(information->deviation[0], 0.3530, 5e-5);
    dataset_close(dataset);
}

enum { CIFAR = 3073, CIFAR_RECORDS = 4 };

static unsigned char cifar_byte(int file, int record, int at) {
    return (unsigned char)(file * 50 + record * 11 + at * 7 + at / 1024);
}

static const char *make_cifar(void) {
    static unsigned char bytes[CIFAR * CIFAR_RECORDS];
    const char *folder = test_folder();
    for (int file = 0; file < 6; file++) {
        char name[32];
        for (int i = 0; i < CIFAR * CIFAR_RECORDS; i++) {
            bytes[i] = i % CIFAR == 0 ? (unsigned char)((file + i / CIFAR) % 10)
                                      : cifar_byte(file, i / CIFAR, i % CIFAR - 1);
        }
        snprintf(name, sizeof name, file < 5 ? "data_batch_%d.bin" : "test_batch.bin", file + 1);
        sample_file_write(sample_path(folder, name), bytes, sizeof bytes);
    }
    const char *names = "airplane\nautomobile\nbird\ncat\ndeer\ndog\nfrog\nhorse\nship\ntruck\n\n";
    sample_file_write(sample_path(folder, "batches.meta.txt"), names, strlen(names));
    return folder;
}

static void test_import__cifar10(void) {
    const char *target = sample_path(test_folder(), "set");
    CU_ASSERT_EQUAL_FATAL(
        run_import("cifar10", make_cifar(), target, "{shards: 4}", "{}"), STATUS_OK);
    for (int set = 0; set < 2; set++) {
        struct dataset *dataset;
        CU_ASSERT_EQUAL_FATAL(
            dataset_open(&dataset, sample_path(target, set == 0 ? "train" : "test")), STATUS_OK);
        int files = set == 0 ? 5 : 1;
        CU_ASSERT_EQUAL(dataset_get_information(dataset)->records, files * CIFAR_RECORDS);
        CU_ASSERT_STRING_EQUAL(dataset_get_information(dataset)->class_names[9], "truck");
        for (int i = 0; i < files * CIFAR_RECORDS; i++) {
            int file = i / CIFAR_RECORDS + 5 * set, number = i % CIFAR_RECORDS;
            struct record record;
            CU_ASSERT_EQUAL_FATAL(dataset_read(&record, dataset, i), STATUS_OK);
            CU_ASSERT_EQUAL(record.target.class_number, (file + number) % 10);
            CU_ASSERT(shape_equal(record.shape, (struct shape){3, 32, 32}));
            const uint8_t *pixels = record.bytes;
            bool same = true;
            for (int k = 0; k < 3072; k++) {
                same = same && pixels[k % 1024 * 3 + k / 1024] == cifar_byte(file, number, k);
            }
            CU_ASSERT(same);
        }
        dataset_close(dataset);
    }
}

static void test_import__cifar10_refuses_what_is_wrong(void) {
    const char *source = make_cifar();
    const char *path = sample_path(source, "data_batch_3.bin");
    size_t size;
    unsigned char *bytes = sample_file_read(&size, path);
    sample_file_write(path, bytes, size - 1);
    refuse_import(
        "cifar10", source, "{}", "{}", "data_batch_3.bin: 12291 bytes: must be a multiple");
    bytes[2 * CIFAR] = 10;
    sample_file_write(path, bytes, size);
    refuse_import(
        "cifar10", source, "{}", "{}", "data_batch_3.bin: record 2: label 10: must be 0 to 9");
    unlink(path);
    refuse_import("cifar10", source, "{}", "{}", "data_batch_3.bin: No such file");
    refuse_import("cifar10", test_folder(), "{}", "{}", "batches.meta.txt");
    free(bytes);
}

TEST_MAIN("import", TEST(test_import__idx_plain_and_gzipped),
    TEST(test_import__idx_takes_names_of_classes), TEST(test_import__split_deals_every_record_once),
    TEST(test_import__idx_refuses_what_is_wrong),
    TEST(test_import__gzip_that_is_damaged_is_refused), TEST(test_import__fashion_mnist_of_debian),
    TEST(test_import__cifar10), TEST(test_import__cifar10_refuses_what_is_wrong))
