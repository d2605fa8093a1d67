#include "shard/record.h"
#include "support/support.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

static uint8_t pixels[5 * 4 * 3];

static struct picture make_picture(int channels) {
    for (size_t i = 0; i < sizeof pixels; i++) {
        pixels[i] = (uint8_t)test_random();
    }
    return (struct picture){channels, 5, 4, pixels};
}

static void test_record__survives_packing(void) {
    for (int encoding = RECORD_RAW; encoding <= RECORD_PNG; encoding++) {
        for (int channels = 1; channels <= 3; channels += 2) {
            struct picture picture = make_picture(channels), back;
            struct record record = {.number = 5000000000,
                              .target = {.type = TARGET_CLASS, .class_number = 123456}},
                          read;
            void *owned, *packed;
            size_t size;
            CU_ASSERT_EQUAL_FATAL(
                record_encode(&record, &owned, &picture, (enum record_encoding)encoding, 90),
                STATUS_OK);
            CU_ASSERT_EQUAL_FATAL(record_pack(&packed, &size, &record), STATUS_OK);
            CU_ASSERT_EQUAL(size, RECORD_HEADER + record.size);
            CU_ASSERT_EQUAL_FATAL(record_unpack(&read, packed, size), STATUS_OK);
            CU_ASSERT_EQUAL(read.number, 5000000000);
            CU_ASSERT_EQUAL(read.target.type, TARGET_CLASS);
            CU_ASSERT_EQUAL(read.target.class_number, 123456);
            CU_ASSERT(shape_equal(read.shape, (struct shape){channels, 5, 4}));
            CU_ASSERT_EQUAL_FATAL(record_decode(&back, &read, 0), STATUS_OK);
            CU_ASSERT_EQUAL(back.channels, channels);
            if (encoding != RECORD_JPEG) {
                CU_ASSERT_EQUAL(memcmp(back.pixels, pixels, (size_t)(20 * channels)), 0);
            }
            picture_release(&back);
            free(packed);
            free(owned);
        }
    }
}

/* The layout of the header is a file format: byte by byte. */
static void test_record__has_the_layout_of_its_manual(void) {
    const uint8_t grey[6] = {1, 2, 3, 4, 5, 6};
    struct record record = {.number = 0x0102030405,
        .target = {.type = TARGET_CLASS, .class_number = 7},
        .encoding = RECORD_RAW,
        .shape = {1, 2, 3},
        .bytes = grey,
        .size = 6};
    const unsigned char expected[38] = {1, 0, 1, 0, 2, 0, 0, 0, 3, 0, 0, 0, 7, 0, 0, 0, 5, 4, 3, 2,
        1, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6};
    void *packed;
    size_t size;
    CU_ASSERT_EQUAL_FATAL(record_pack(&packed, &size, &record), STATUS_OK);
    CU_ASSERT_EQUAL_FATAL(size, 8 + sizeof expected);
    const unsigned char *bytes = packed;
    CU_ASSERT_EQUAL(memcmp(bytes, "CVR1", 4), 0);
    CU_ASSERT_EQUAL(memcmp(bytes + 8, expected, sizeof expected), 0);
    uLong crc = crc32(crc32(0, NULL, 0), expected, sizeof expected);
    for (int i = 0; i < 4; i++) {
        CU_ASSERT_EQUAL(bytes[4 + i], (crc >> (8 * i)) & 255);
    }
    free(packed);
}

static void test_record__grey_and_colour_become_each_other(void) {
    const uint8_t rgb[6] = {255, 255, 255, 10, 200, 30}, grey[2] = {9, 250};
    struct picture back;
    struct record record = {
        .encoding = RECORD_RAW, .shape = {3, 1, 2}, .bytes = rgb, .size = sizeof rgb};
    CU_ASSERT_EQUAL_FATAL(record_decode(&back, &record, 1), STATUS_OK);
    CU_ASSERT_EQUAL(back.pixels[0], 255);
    CU_ASSERT_EQUAL(back.pixels[1], (299 * 10 + 587 * 200 + 114 * 30 + 500) / 1000);
    picture_release(&back);
    record = (struct record){
        .encoding = RECORD_RAW, .shape = {1, 1, 2}, .bytes = grey, .size = sizeof grey};
    CU_ASSERT_EQUAL_FATAL(record_decode(&back, &record, 3), STATUS_OK);
    CU_ASSERT_EQUAL(memcmp(back.pixels, (const uint8_t[]){9, 9, 9, 250, 250, 250}, 6), 0);
    picture_release(&back);
}

/* Packs again with a right checksum after `change`, so that the other checks are seen to work. */
static void *forge(size_t *size, int offset, unsigned char value) {
    struct picture picture = make_picture(1);
    struct record record = {.target = {.type = TARGET_CLASS}};
    void *owned, *packed;
    record_encode(&record, &owned, &picture, RECORD_RAW, 0);
    record_pack(&packed, size, &record);
    unsigned char *bytes = packed;
    bytes[offset] = value;
    uint32_t crc = (uint32_t)crc32(crc32(0, NULL, 0), bytes + 8, (uInt)(*size - 8));
    for (int i = 0; i < 4; i++) {
        bytes[4 + i] = (unsigned char)(crc >> (8 * i));
    }
    free(owned);
    return packed;
}

static void test_record__refuses_hostile_headers(void) {
    const struct {
        int offset, value;
        const char *message;
    } cases[] = {{0, 'X', "no record of Convoy"}, {8, 9, "unknown type of target 9"},
        {9, 77, "unknown encoding 77"}, {10, 2, "channels must be 1 or 3"},
        {12, 6, "bytes of raw pixels"}, {12, 0, "channels must be 1 or 3"},
        {15, 0x80, "channels must be 1 or 3"}, {19, 100, "channels must be 1 or 3"},
        {23, 0x80, "is negative"}, {32, 21, "bytes after the header"},
        {39, 0x80, "bytes after the header"}};
    struct record record;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t size;
        void *packed = forge(&size, cases[i].offset, (unsigned char)cases[i].value);
        TEST_ASSERT_FAILS(record_unpack(&record, packed, size), cases[i].message);
        free(packed);
    }
    TEST_ASSERT_FAILS(record_unpack(&record, "CVR1", 4), "its header alone has 40");
}

static void test_record__refuses_damaged_zlib(void) {
    struct picture picture = make_picture(1), back;
    struct record record = {.number = 0};
    void *owned;
    CU_ASSERT_EQUAL(record_encode(&record, &owned, &picture, RECORD_ZLIB, 0), STATUS_OK);
    record.size -= 3;
    TEST_ASSERT_FAILS(record_decode(&back, &record, 0), "zlib gives");
    record.size += 3, record.shape.height = 4;
    TEST_ASSERT_FAILS(record_decode(&back, &record, 0), "zlib gives");
    record.shape.height = 6;
    TEST_ASSERT_FAILS(record_decode(&back, &record, 0), "too little");
    free(owned);
}

/* Every single bit flipped is found; many at once never crash. */
static void test_record__survives_mutation(void) {
    struct picture picture = make_picture(3);
    struct record record = {.number = 3, .target = {.type = TARGET_CLASS, .class_number = 2}}, read;
    void *owned, *packed;
    size_t size;
    record_encode(&record, &owned, &picture, RECORD_RAW, 0);
    record_pack(&packed, &size, &record);
    unsigned char *bytes = packed;
    for (size_t bit = 0; bit < 8 * size; bit++) {
        bytes[bit / 8] ^= (unsigned char)(1 << (bit % 8));
        CU_ASSERT_EQUAL(record_unpack(&read, packed, size), STATUS_INPUT);
        bytes[bit / 8] ^= (unsigned char)(1 << (bit % 8));
    }
    for (int round = 0; round < 2000; round++) {
        size_t length = (size_t)test_random_between(0, (int)size);
        unsigned char *copy = malloc(length + 1); /* so that a read past the end is seen */
        memcpy(copy, packed, length);
        for (int i = test_random_between(0, 6); i > 0 && length > 0; i--) {
            copy[test_random_between(0, (int)length - 1)] = (unsigned char)test_random();
        }
        if (length > 8 && test_random() % 2 == 0) { /* and past the checksum */
            uint32_t crc = (uint32_t)crc32(crc32(0, NULL, 0), copy + 8, (uInt)(length - 8));
            memcpy(copy + 4, &crc, 4);
        }
        struct picture back = {0};
        if (record_unpack(&read, copy, length) == STATUS_OK) {
            CU_ASSERT(read.size <= length);
            if (record_decode(&back, &read, 0) == STATUS_OK) {
                picture_release(&back);
            }
        }
        free(copy);
    }
    free(packed);
    free(owned);
}

TEST_MAIN("record", TEST(test_record__survives_packing),
    TEST(test_record__has_the_layout_of_its_manual),
    TEST(test_record__grey_and_colour_become_each_other),
    TEST(test_record__refuses_hostile_headers), TEST(test_record__refuses_damaged_zlib),
    TEST(test_record__survives_mutation))
