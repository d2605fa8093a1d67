#include "io/file.h"
#include "shard/dataset.h"
#include "shard/picture_fit.h"
#include "support/run_import.h"
#include "support/sample.h"
#include "support/support.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A picture of one colour that says which it is, with a white upper left quarter. */
static struct picture make_picture(int channels, int height, int width, int value) {
    struct picture picture = {channels, height, width, malloc((size_t)(channels * height * width))};
    for (int i = 0; i < height * width; i++) {
        bool white = i / width < height / 2 && i % width < width / 2;
        for (int c = 0; c < channels; c++) {
            picture.pixels[i * channels + c] = (uint8_t)(white ? 255 : value + 10 * c);
        }
    }
    return picture;
}

static void write_picture(const char *folder, const char *name, struct picture picture) {
    void *bytes;
    size_t size;
    bool jpeg = strstr(name, ".jpg") != NULL;
    CU_ASSERT_EQUAL_FATAL(folder_make(folder), STATUS_OK);
    CU_ASSERT_EQUAL_FATAL(jpeg ? picture_encode_jpeg(&bytes, &size, &picture, 90)
                               : picture_encode_png(&bytes, &size, &picture),
        STATUS_OK);
    sample_file_write(sample_path(folder, name), bytes, size);
    free(bytes);
    picture_release(&picture);
}

/* Three classes whose names tell bytewise order from another; files by name, not by time. */
static const char *make_source(void) {
    const char *source = test_folder();
    write_picture(sample_path(source, "b"), "2.png", make_picture(3, 8, 12, 40));
    write_picture(sample_path(source, "b"), "10.jpg", make_picture(3, 12, 8, 30));
    write_picture(sample_path(source, "a"), "x.jpg", make_picture(1, 8, 8, 20));
    write_picture(sample_path(source, "Z"), "0.png", make_picture(3, 20, 30, 10));
    write_picture(sample_path(source, "Z"), ".hidden.png", make_picture(3, 2, 2, 0));
    sample_file_write(sample_path(source, "README.txt"), "no class", 8);
    return source;
}
static const char *const files[4] = {"Z/0.png", "a/x.jpg", "b/10.jpg", "b/2.png"};
static const int classes[4] = {0, 1, 2, 2};

static struct dataset *open_set(const char *folder) {
    struct dataset *dataset = NULL;
    CU_ASSERT_EQUAL_FATAL(dataset_open(&dataset, folder), STATUS_OK);
    return dataset;
}

static void test_import_pictures__keeps_the_bytes_of_the_files(void) {
    const char *source = make_source(), *target = sample_path(test_folder(), "set");
    CU_ASSERT_EQUAL_FATAL(run_import("pictures", source, target, "{shards: 2}", "{}"), STATUS_OK);
    struct dataset *dataset = open_set(target);
    const struct dataset_information *information = dataset_get_information(dataset);
    CU_ASSERT_EQUAL(information->records, 4);
    CU_ASSERT_EQUAL(information->classes, 3);
    CU_ASSERT_STRING_EQUAL(information->class_names[0], "Z");
    CU_ASSERT_STRING_EQUAL(information->class_names[2], "b");
    CU_ASSERT(shape_equal(information->shape, (struct shape){3, 0, 0}));
    for (int i = 0; i < 4; i++) {
        struct record record;
        size_t size;
        CU_ASSERT_EQUAL_FATAL(dataset_read(&record, dataset, i), STATUS_OK);
        void *bytes = sample_file_read(&size, sample_path(source, files[i]));
        CU_ASSERT_EQUAL(record.target.class_number, classes[i]);
        CU_ASSERT_EQUAL(record.size, size);
        CU_ASSERT(record.size == size && memcmp(record.bytes, bytes, size) == 0);
        CU_ASSERT_EQUAL(
            record.encoding, strstr(files[i], ".jpg") != NULL ? RECORD_JPEG : RECORD_PNG);
        free(bytes);
    }
    CU_ASSERT_EQUAL(dataset_verify(dataset, NULL, NULL), STATUS_OK);
    dataset_close(dataset);
}

/* One size and one number of channels, in every encoding. */
static void test_import_pictures__brings_all_to_one_size(void) {
    const char *source = make_source();
    const char *const encodings[] = {"keep", "raw", "zlib", "png", "jpeg"};
    for (int i = 0; i < 5; i++) {
        for (int grey = 0; grey < 2; grey++) {
            const char *target = sample_path(test_folder(), "set");
            char own[128];
            snprintf(own, sizeof own, "{size: 10x6, encoding: %s, channels: %s}", encodings[i],
                grey ? "grey" : "rgb");
            CU_ASSERT_EQUAL_FATAL(
                run_import("pictures", source, target, "{shards: 1}", own), STATUS_OK);
            struct dataset *dataset = open_set(target);
            CU_ASSERT(shape_equal(
                dataset_get_information(dataset)->shape, (struct shape){grey ? 1 : 3, 6, 10}));
            for (int k = 0; k < 4; k++) {
                struct record record;
                CU_ASSERT_EQUAL_FATAL(dataset_read(&record, dataset, k), STATUS_OK);
                CU_ASSERT(shape_equal(record.shape, (struct shape){grey ? 1 : 3, 6, 10}));
                CU_ASSERT_EQUAL(record.encoding,
                    i == 0   ? (strstr(files[k], ".jpg") != NULL ? RECORD_JPEG : RECORD_PNG)
                    : i == 1 ? RECORD_RAW
                    : i == 2 ? RECORD_ZLIB
                    : i == 3 ? RECORD_PNG
                             : RECORD_JPEG);
            }
            CU_ASSERT_EQUAL(dataset_verify(dataset, NULL, NULL), STATUS_OK);
            dataset_close(dataset);
        }
    }
}

static int at(const struct picture *picture, int y, int x) {
    return picture->pixels[(y * picture->width + x) * picture->channels];
}

/* A picture twice as wide as high, left half 200, right half 100, to a square. */
static void test_picture_fit__crops_pads_and_stretches(void) {
    struct picture in = {3, 8, 16, malloc(3 * 8 * 16)}, out;
    for (int i = 0; i < 8 * 16; i++) {
        memset(in.pixels + 3 * i, i % 16 < 8 ? 200 : 100, 3);
    }
    CU_ASSERT_EQUAL_FATAL(picture_fit(&out, &in, 4, 4, PICTURE_FIT_CROP), STATUS_OK);
    CU_ASSERT(at(&out, 0, 0) == 200 && at(&out, 3, 3) == 100 && out.channels == 3);
    picture_release(&out);
    CU_ASSERT_EQUAL_FATAL(picture_fit(&out, &in, 8, 8, PICTURE_FIT_PAD), STATUS_OK);
    CU_ASSERT(at(&out, 1, 0) == 0 && at(&out, 6, 7) == 0); /* 8 x 4 in the middle */
    CU_ASSERT(at(&out, 2, 0) == 200 && at(&out, 5, 7) == 100);
    picture_release(&out);
    CU_ASSERT_EQUAL_FATAL(picture_fit(&out, &in, 2, 4, PICTURE_FIT_STRETCH), STATUS_OK);
    CU_ASSERT(at(&out, 0, 0) == 200 && at(&out, 1, 3) == 100);
    picture_release(&out);
    CU_ASSERT_EQUAL_FATAL(picture_fit(&out, &in, 1, 1, PICTURE_FIT_STRETCH), STATUS_OK);
    CU_ASSERT_EQUAL(at(&out, 0, 0), 150);
    picture_release(&out);
    const int odd[][2] = {{1, 16000}, {3, 1}, {7, 5}, {100, 99}};
    for (int i = 0; i < 4; i++) {
        for (int fit = PICTURE_FIT_CROP; fit <= PICTURE_FIT_STRETCH; fit++) {
            CU_ASSERT_EQUAL_FATAL(
                picture_fit(&out, &in, odd[i][0], odd[i][1], (enum picture_fit)fit), STATUS_OK);
            CU_ASSERT(out.height == odd[i][0] && out.width == odd[i][1]);
            picture_release(&out);
        }
    }
    picture_release(&in);
}

static void test_import_pictures__finds_the_sets_of_a_source(void) {
    const char *source = test_folder(), *target = sample_path(test_folder(), "set");
    for (int i = 0; i < 4; i++) {
        char name[16];
        snprintf(name, sizeof name, "%d.png", i);
        write_picture(sample_path(source, "train/cat"), name, make_picture(3, 4, 4, i));
        write_picture(sample_path(source, "train/dog"), name, make_picture(3, 4, 4, 100 + i));
    }
    write_picture(sample_path(source, "test/dog"), "x.png", make_picture(3, 4, 4, 7));
    write_picture(sample_path(source, "val/cat"), "x.png", make_picture(3, 4, 4, 8));
    CU_ASSERT_EQUAL_FATAL(run_import("pictures", source, target, "{shards: 1}", "{}"), STATUS_OK);
    const char *const sets[] = {"train", "test", "validation"};
    const int records[] = {8, 1, 1}, first[] = {0, 1, 0};
    for (int i = 0; i < 3; i++) {
        struct dataset *dataset = open_set(sample_path(target, sets[i]));
        struct record record;
        CU_ASSERT_EQUAL(dataset_get_information(dataset)->records, records[i]);
        CU_ASSERT_EQUAL(dataset_get_information(dataset)->classes, 2);
        CU_ASSERT_EQUAL_FATAL(dataset_read(&record, dataset, 0), STATUS_OK);
        CU_ASSERT_EQUAL(record.target.class_number, first[i]);
        CU_ASSERT(shape_equal(dataset_get_information(dataset)->shape, (struct shape){3, 4, 4}));
        dataset_close(dataset);
    }
    refuse_import("pictures", source, "{shards: 1, split: 0.5}", "{}", "\"validation\" already");
    write_picture(sample_path(source, "test/bird"), "x.png", make_picture(3, 4, 4, 7));
    refuse_import("pictures", source, "{shards: 1}", "{}", "has no class \"bird\"");
    /* A source without train/ is one set, and a split makes two. */
    target = sample_path(test_folder(), "set");
    source = sample_path(source, "train");
    CU_ASSERT_EQUAL_FATAL(
        run_import("pictures", source, target, "{shards: 1, split: 0.25}", "{}"), STATUS_OK);
    struct dataset *dataset = open_set(sample_path(target, "validation"));
    CU_ASSERT_EQUAL(dataset_get_information(dataset)->records, 2);
    dataset_close(dataset);
    dataset = open_set(sample_path(target, "train"));
    CU_ASSERT_EQUAL(dataset_get_information(dataset)->records, 6);
    dataset_close(dataset);
}

/* A PNG that claims 60000 x 60000 and has next to no pixels. */
static const unsigned char huge[] = {0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0x00, 0x00,
    0x00, 0x0d, 0x49, 0x48, 0x44, 0x52, 0x00, 0x00, 0xea, 0x60, 0x00, 0x00, 0xea, 0x60, 0x08, 0x02,
    0x00, 0x00, 0x00, 0x0f, 0xb0, 0xe2, 0x15, 0x00, 0x00, 0x00, 0x0c, 0x49, 0x44, 0x41, 0x54, 0x78,
    0x9c, 0x63, 0x60, 0xa0, 0x3d, 0x00, 0x00, 0x00, 0x64, 0x00, 0x01, 0x86, 0x64, 0x3c, 0x35};

static void test_import_pictures__refuses_what_is_no_picture(void) {
    const struct {
        const void *bytes;
        size_t size;
        const char *message;
    } cases[] = {{"", 0, "a/y.jpg: the file is empty (0 bytes)"},
        {"GIF89a and more", 15, "a/y.jpg: is neither JPEG nor PNG"}, {huge, sizeof huge, "60000"},
        {"\xff\xd8\xff\xe0 short", 10, "a/y.jpg: "}};
    for (int i = 0; i < 4; i++) {
        const char *source = make_source();
        sample_file_write(sample_path(source, "a/y.jpg"), cases[i].bytes, cases[i].size);
        refuse_import("pictures", source, "{shards: 1}", "{}", cases[i].message);
    }
    /* A JPEG cut at half. */
    const char *source = make_source();
    size_t size;
    void *bytes = sample_file_read(&size, sample_path(source, "b/10.jpg"));
    sample_file_write(sample_path(source, "b/10.jpg"), bytes, size / 2);
    refuse_import("pictures", source, "{shards: 1}", "{}", "b/10.jpg: ");
    free(bytes);
    CU_ASSERT_EQUAL(folder_make(sample_path(source, "a/inner")), STATUS_OK);
    refuse_import("pictures", source, "{shards: 1}", "{}", "a/inner: a folder inside");
    refuse_import("pictures", test_folder(), "{shards: 1}", "{}", "holds no pictures");
    refuse_import("pictures", sample_path(source, "none"), "{shards: 1}", "{}", "no such folder");
    refuse_import("pictures", source, "{shards: 1}", "{size: 10}", "must be WxH");
    refuse_import("pictures", source, "{shards: 1}", "{size: 0x5}", "must be WxH");
    refuse_import("pictures", source, "{shards: 1}", "{size: 99999x5}", "must be WxH");
}

/* Real photographs of many sizes, where they are at hand. */
static void test_import_pictures__photographs(void) {
    const char *archive = "../shared/data/imagenet-sample-125.tar";
    if (!file_exists(archive)) {
        printf("\n  skipped: no %s beside the checkout\n", archive);
        CU_PASS("skipped");
        return;
    }
    const char *source = test_folder(), *target = sample_path(test_folder(), "set");
    char command[1200];
    snprintf(command, sizeof command,
        "cd '%s' && mkdir one two && tar xf \"$OLDPWD/%s\" -C one && "
        "cd one && for f in $(ls | tail -n +11); do rm $f; done && mv $(ls | tail -4) ../two",
        source, archive);
    CU_ASSERT_EQUAL_FATAL(system(command), 0);
    CU_ASSERT_EQUAL_FATAL(run_import("pictures", source, target, "{shards: 4}",
                              "{size: 64x48, fit: pad, encoding: jpeg}"),
        STATUS_OK);
    struct dataset *dataset = open_set(target);
    const struct dataset_information *information = dataset_get_information(dataset);
    CU_ASSERT_EQUAL(information->records, 10);
    CU_ASSERT(shape_equal(information->shape, (struct shape){3, 48, 64}));
    for (int c = 0; c < 3; c++) {
        CU_ASSERT(information->mean[c] > 0.1 && information->mean[c] < 0.9);
        CU_ASSERT(information->deviation[c] > 0.1 && information->deviation[c] < 0.5);
    }
    CU_ASSERT_EQUAL(dataset_verify(dataset, NULL, NULL), STATUS_OK);
    dataset_close(dataset);
}

TEST_MAIN("import_pictures", TEST(test_import_pictures__keeps_the_bytes_of_the_files),
    TEST(test_import_pictures__brings_all_to_one_size),
    TEST(test_picture_fit__crops_pads_and_stretches),
    TEST(test_import_pictures__finds_the_sets_of_a_source),
    TEST(test_import_pictures__refuses_what_is_no_picture), TEST(test_import_pictures__photographs))
