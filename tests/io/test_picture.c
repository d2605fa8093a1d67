#include "io/coded.h"
#include "io/picture.h"
#include "support/support.h"

#include <png.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* after stdio.h, which it needs */
#include <jpeglib.h>

enum { HEIGHT = 21, WIDTH = 34 }; /* no multiples of a block */

/* Soft shades, so that JPEG keeps them. */
static struct picture make_shades(int channels) {
    struct picture picture = {channels, HEIGHT, WIDTH, malloc(3 * HEIGHT * WIDTH)};
    CU_ASSERT_PTR_NOT_NULL_FATAL(picture.pixels);
    for (int i = 0; i < HEIGHT * WIDTH; i++) {
        const int y = i / WIDTH, x = i % WIDTH;
        for (int c = 0; c < channels; c++) {
            picture.pixels[i * channels + c] = (uint8_t)(40 + 3 * x + 4 * y * (c == 1) + 20 * c);
        }
    }
    return picture;
}

static struct coded encode(const struct picture *picture, int quality) {
    struct coded coded = {0};
    void *bytes;
    status result = quality > 0 ? picture_encode_jpeg(&bytes, &coded.size, picture, quality)
                                : picture_encode_png(&bytes, &coded.size, picture);
    CU_ASSERT_EQUAL_FATAL(result, STATUS_OK);
    coded.bytes = bytes;
    return coded;
}

static struct picture decode(const struct coded *coded, int channels) {
    struct picture picture;
    CU_ASSERT_EQUAL_FATAL(picture_decode(&picture, coded->bytes, coded->size, channels), STATUS_OK);
    return picture;
}

static int largest_difference(const struct picture *a, const struct picture *b) {
    CU_ASSERT_EQUAL_FATAL(a->channels, b->channels);
    CU_ASSERT_EQUAL_FATAL(a->height, b->height);
    CU_ASSERT_EQUAL_FATAL(a->width, b->width);
    int largest = 0;
    for (int i = 0; i < a->height * a->width * a->channels; i++) {
        int difference = abs(a->pixels[i] - b->pixels[i]);
        largest = difference > largest ? difference : largest;
    }
    return largest;
}

static int luma(const uint8_t *rgb) {
    return (int)(0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2] + 0.5);
}

static struct picture grey_of(const struct picture *rgb) {
    struct picture grey = {1, rgb->height, rgb->width, malloc((size_t)(rgb->height * rgb->width))};
    CU_ASSERT_PTR_NOT_NULL_FATAL(grey.pixels);
    for (int i = 0; i < rgb->height * rgb->width; i++) {
        grey.pixels[i] = (uint8_t)luma(rgb->pixels + 3 * i);
    }
    return grey;
}

static void assert_pixels(struct coded *coded, int channels, int expected_channels, int height,
    int width, const uint8_t *expected, int tolerance) {
    struct picture found = decode(coded, channels);
    struct picture wanted = {expected_channels, height, width, (uint8_t *)(uintptr_t)expected};
    CU_ASSERT_TRUE(largest_difference(&found, &wanted) <= tolerance);
    picture_release(&found);
    if (channels == 0) {
        int c, h, w;
        CU_ASSERT_EQUAL(picture_measure(&c, &h, &w, coded->bytes, coded->size), STATUS_OK);
        CU_ASSERT_TRUE(c == expected_channels && h == height && w == width);
    }
}

static void test_picture__png_keeps_every_bit(void) {
    for (int channels = 1; channels <= 3; channels += 2) {
        struct picture picture = make_shades(channels);
        for (int i = 0; i < HEIGHT * WIDTH * channels; i++) {
            picture.pixels[i] = (uint8_t)test_random();
        }
        struct coded coded = encode(&picture, 0);
        CU_ASSERT_EQUAL(picture_detect(coded.bytes, coded.size), PICTURE_PNG);
        assert_pixels(&coded, 0, channels, HEIGHT, WIDTH, picture.pixels, 0);
        assert_pixels(&coded, channels, channels, HEIGHT, WIDTH, picture.pixels, 0);
        free(coded.bytes);
        picture_release(&picture);
    }
}

static void test_picture__jpeg_keeps_shades(void) {
    for (int channels = 1; channels <= 3; channels += 2) {
        struct picture picture = make_shades(channels);
        struct coded coded = encode(&picture, 95), rough = encode(&picture, 10);
        CU_ASSERT_EQUAL(picture_detect(coded.bytes, coded.size), PICTURE_JPEG);
        assert_pixels(&coded, 0, channels, HEIGHT, WIDTH, picture.pixels, 8);
        CU_ASSERT_TRUE(rough.size < coded.size);
        free(coded.bytes);
        free(rough.bytes);
        picture_release(&picture);
    }
}

static void test_picture__grey_to_rgb_and_back(void) {
    for (int quality = 0; quality <= 95; quality += 95) {
        struct picture rgb = make_shades(3), grey = grey_of(&rgb);
        struct coded coded = encode(&rgb, quality), coded_grey = encode(&grey, quality);
        struct picture found = decode(&coded, 1);
        CU_ASSERT_TRUE(largest_difference(&found, &grey) <= (quality > 0 ? 3 : 0));
        picture_release(&found);
        found = decode(&coded_grey, 3);
        struct picture as_stored = decode(&coded_grey, 0);
        CU_ASSERT_EQUAL(found.channels, 3);
        for (int i = 0; i < 3 * HEIGHT * WIDTH; i++) {
            CU_ASSERT_EQUAL(found.pixels[i], as_stored.pixels[i / 3]);
        }
        picture_release(&as_stored);
        picture_release(&found);
        free(coded.bytes);
        free(coded_grey.bytes);
        picture_release(&rgb);
        picture_release(&grey);
    }
}

/* One colour all over: the transforms are then exact to a step or two. */
static void check_inks(
    int in_space, int space, int adobe, const uint8_t ink[4], int r, int g, int b) {
    uint8_t pixels[16 * 16 * 4], expected[16 * 16 * 3], grey[16 * 16];
    for (int i = 0; i < 16 * 16; i++) {
        memcpy(pixels + 4 * i, ink, 4);
        memcpy(expected + 3 * i, (uint8_t[]){(uint8_t)r, (uint8_t)g, (uint8_t)b}, 3);
        grey[i] = (uint8_t)luma(expected + 3 * i);
    }
    struct coded coded = coded_jpeg(pixels, 16, 16, 4, in_space, space, 1, adobe);
    assert_pixels(&coded, 0, 3, 16, 16, expected, 2);
    assert_pixels(&coded, 3, 3, 16, 16, expected, 2);
    assert_pixels(&coded, 1, 1, 16, 16, grey, 2);
    free(coded.bytes);
}

static void test_picture__inks_become_rgb(void) {
    /* Adobe's way: what is stored is the light left. */
    check_inks(JCS_CMYK, JCS_CMYK, 1, (uint8_t[]){255, 255, 255, 255}, 255, 255, 255);
    check_inks(JCS_CMYK, JCS_CMYK, 1, (uint8_t[]){255, 0, 0, 255}, 255, 0, 0);
    check_inks(JCS_CMYK, JCS_CMYK, 1, (uint8_t[]){200, 100, 50, 128}, 100, 50, 25);
    check_inks(JCS_CMYK, JCS_YCCK, 1, (uint8_t[]){200, 100, 50, 128}, 100, 50, 25);
    check_inks(JCS_CMYK, JCS_YCCK, 1, (uint8_t[]){255, 255, 255, 0}, 0, 0, 0);
    /* Without the marker: ink. */
    check_inks(JCS_CMYK, JCS_CMYK, 0, (uint8_t[]){0, 0, 0, 0}, 255, 255, 255);
    check_inks(JCS_CMYK, JCS_CMYK, 0, (uint8_t[]){0, 255, 255, 0}, 255, 0, 0);
    check_inks(JCS_CMYK, JCS_CMYK, 0, (uint8_t[]){55, 155, 205, 127}, 100, 50, 25);
}

static void test_picture__jpeg_of_rgb_and_progressive(void) {
    struct picture rgb = make_shades(3);
    struct coded plain = coded_jpeg(rgb.pixels, HEIGHT, WIDTH, 3, JCS_RGB, JCS_RGB, 1, 1);
    assert_pixels(&plain, 0, 3, HEIGHT, WIDTH, rgb.pixels, 2);
    struct coded sequential = coded_jpeg(rgb.pixels, HEIGHT, WIDTH, 3, JCS_RGB, JCS_YCbCr, 1, 0);
    struct coded progressive = coded_jpeg(rgb.pixels, HEIGHT, WIDTH, 3, JCS_RGB, JCS_YCbCr, 10, 0);
    struct picture one = decode(&sequential, 0), two = decode(&progressive, 0);
    CU_ASSERT_EQUAL(largest_difference(&one, &two), 0); /* the same coefficients in another order */
    picture_release(&one);
    picture_release(&two);
    free(plain.bytes);
    free(sequential.bytes);
    free(progressive.bytes);
    picture_release(&rgb);
}

static void test_picture__png_kinds(void) {
    static const uint8_t palette[] = {255, 0, 0, 0, 255, 0, 10, 20, 30, 1, 2, 3};
    static const uint8_t palette_alpha[] = {255, 51, 0, 255};
    struct {
        struct coded_png_options options;
        int height, width;
        const uint8_t rows[16];
        int channels; /* expected */
        const uint8_t pixels[16];
    } cases[] = {
        /* palettes of 2 bits, with and without alpha; 0xe4 is 3 2 1 0 */
        {{2, PNG_COLOR_TYPE_PALETTE, 0, palette, 4, NULL, 0}, 1, 4, {0xe4}, 3,
            {1, 2, 3, 10, 20, 30, 0, 255, 0, 255, 0, 0}},
        {{2, PNG_COLOR_TYPE_PALETTE, 0, palette, 4, palette_alpha, 0}, 1, 4, {0xe4}, 3,
            {1, 2, 3, 0, 0, 0, 0, 51, 0, 255, 0, 0}},
        /* grey of 1, 2, 4 and 16 bits (rounded) */
        {{1, PNG_COLOR_TYPE_GRAY, 0, NULL, 0, NULL, 0}, 1, 4, {0x50}, 1, {0, 255, 0, 255}},
        {{2, PNG_COLOR_TYPE_GRAY, 0, NULL, 0, NULL, 0}, 1, 4, {0xe4}, 1, {255, 170, 85, 0}},
        {{4, PNG_COLOR_TYPE_GRAY, 0, NULL, 0, NULL, 0}, 1, 2, {0x1f}, 1, {17, 255}},
        {{16, PNG_COLOR_TYPE_GRAY, 0, NULL, 0, NULL, 0}, 1, 3, {0x12, 0x34, 0x12, 0xff, 0xff, 0xff},
            1, {0x12, 0x13, 0xff}},
        {{16, PNG_COLOR_TYPE_RGB, 0, NULL, 0, NULL, 0}, 1, 1, {0x80, 0x00, 0, 1, 0xff, 0x7f}, 3,
            {0x80, 0, 0xff}},
        /* alpha over black, of each kind; one transparent grey */
        {{8, PNG_COLOR_TYPE_GRAY_ALPHA, 0, NULL, 0, NULL, 0}, 1, 3, {200, 255, 200, 128, 200, 0}, 1,
            {200, 100, 0}},
        {{8, PNG_COLOR_TYPE_RGB_ALPHA, 0, NULL, 0, NULL, 0}, 1, 2, {255, 100, 3, 128, 9, 9, 9, 0},
            3, {128, 50, 2, 0, 0, 0}},
        {{16, PNG_COLOR_TYPE_GRAY_ALPHA, 0, NULL, 0, NULL, 0}, 1, 1, {0xc8, 0, 0x80, 0}, 1, {100}},
        {{8, PNG_COLOR_TYPE_GRAY, 0, NULL, 0, NULL, 7 + 1}, 1, 3, {6, 7, 8}, 1, {6, 0, 8}},
        /* interlaced */
        {{8, PNG_COLOR_TYPE_GRAY, 1, NULL, 0, NULL, 0}, 3, 3, {1, 2, 3, 4, 5, 6, 7, 8, 9}, 1,
            {1, 2, 3, 4, 5, 6, 7, 8, 9}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct coded coded =
            coded_png(cases[i].rows, cases[i].height, cases[i].width, &cases[i].options);
        const int count = cases[i].height * cases[i].width;
        assert_pixels(
            &coded, 0, cases[i].channels, cases[i].height, cases[i].width, cases[i].pixels, 0);
        uint8_t other[48];
        for (int p = 0; p < count; p++) {
            if (cases[i].channels == 3) {
                other[p] = (uint8_t)luma(cases[i].pixels + 3 * p);
            } else {
                memset(other + 3 * p, cases[i].pixels[p], 3);
            }
        }
        assert_pixels(&coded, 4 - cases[i].channels, 4 - cases[i].channels, cases[i].height,
            cases[i].width, other, 0);
        free(coded.bytes);
    }
}

/* Must be refused by decoding, with this in the message. */
static void refused(const unsigned char *bytes, size_t size, const char *reason) {
    struct picture picture;
    CU_ASSERT_EQUAL(picture_decode(&picture, bytes, size, 0), STATUS_INPUT);
    CU_ASSERT_PTR_NULL(picture.pixels);
    test_assert_message(reason, __FILE__, __LINE__);
}

static void test_picture__refuses_what_is_no_picture(void) {
    int c, h, w;
    refused((const unsigned char *)"", 0, "no picture: 0 bytes");
    refused((const unsigned char *)"GIF89a....", 10, "no picture: neither JPEG nor PNG");
    refused((const unsigned char *)"\xff\xd8", 2, "no picture: neither JPEG nor PNG");
    refused((const unsigned char *)"\xff\xd8\xff\xe0", 4, "JPEG: ");
    refused((const unsigned char *)"\x89PNG\r\n\x1a\n", 8, "PNG: the file ends early");
    CU_ASSERT_EQUAL(picture_detect(NULL, 0), PICTURE_UNKNOWN);
    CU_ASSERT_EQUAL(picture_measure(&c, &h, &w, "", 0), STATUS_INPUT);
    CU_ASSERT_EQUAL(picture_measure(&c, &h, &w, "\xff\xd8\xff\xd9", 4), STATUS_INPUT);
}

static void test_picture__refuses_every_cut(void) {
    struct picture rgb = make_shades(3);
    struct coded coded[] = {encode(&rgb, 0), encode(&rgb, 90),
        coded_jpeg(rgb.pixels, HEIGHT, WIDTH, 3, JCS_RGB, JCS_YCbCr, 10, 0)};
    for (int kind = 0; kind < 3; kind++) {
        int accepted = 0;
        for (size_t size = 0; size < coded[kind].size; size++) {
            /* A copy of its own, so that a read past its end is seen. */
            unsigned char *cut = malloc(size + 1);
            CU_ASSERT_PTR_NOT_NULL_FATAL(cut);
            cut = realloc(cut, size > 0 ? size : 1);
            memcpy(cut, coded[kind].bytes, size);
            struct picture picture;
            accepted += picture_decode(&picture, cut, size, 3) != STATUS_INPUT;
            CU_ASSERT_PTR_NULL(picture.pixels);
            free(cut);
        }
        CU_ASSERT_EQUAL(accepted, 0);
        free(coded[kind].bytes);
    }
    picture_release(&rgb);
}

static void test_picture__refuses_damaged_data(void) {
    struct picture rgb = make_shades(3);
    struct coded jpeg = encode(&rgb, 90), png = encode(&rgb, 0);
    /* A piece of the scan gone, the end marker still there. */
    memmove(jpeg.bytes + jpeg.size - 80, jpeg.bytes + jpeg.size - 20, 20);
    refused(jpeg.bytes, jpeg.size - 60, "JPEG: Corrupt JPEG data: premature end of data segment");
    png.bytes[png.size / 2] ^= 1;
    refused(png.bytes, png.size, "PNG: ");
    free(jpeg.bytes);
    free(png.bytes);
    picture_release(&rgb);
}

static void test_picture__bears_stray_bytes_between_segments(void) {
    struct picture rgb = make_shades(3);
    struct coded jpeg = encode(&rgb, 90), stray = {malloc(jpeg.size + 3), jpeg.size + 3};
    CU_ASSERT_PTR_NOT_NULL_FATAL(stray.bytes);
    size_t segment = 2 + 2 + (size_t)(jpeg.bytes[4] << 8 | jpeg.bytes[5]); /* after the first */
    memcpy(stray.bytes, jpeg.bytes, segment);
    memcpy(stray.bytes + segment, "abc", 3);
    memcpy(stray.bytes + segment + 3, jpeg.bytes + segment, jpeg.size - segment);
    struct picture one = decode(&jpeg, 0), two = decode(&stray, 0);
    CU_ASSERT_EQUAL(largest_difference(&one, &two), 0);
    picture_release(&one);
    picture_release(&two);
    free(jpeg.bytes);
    free(stray.bytes);
    picture_release(&rgb);
}

/* Writes a height and a width into the header of a JPEG or PNG. */
static void claim(struct coded *coded, unsigned height, unsigned width) {
    unsigned char *bytes = coded->bytes;
    if (picture_detect(bytes, coded->size) == PICTURE_PNG) {
        unsigned sides[] = {width, height};
        for (int i = 0; i < 8; i++) {
            bytes[16 + i] = (unsigned char)(sides[i / 4] >> (24 - 8 * (i % 4)));
        }
        uint32_t crc = ~0u; /* of bytes 12 to 28: ISO 3309, bit by bit */
        for (int i = 12; i < 29; i++) {
            crc ^= bytes[i];
            for (int bit = 0; bit < 8; bit++) {
                crc = crc & 1 ? 0xedb88320u ^ (crc >> 1) : crc >> 1;
            }
        }
        for (int i = 0; i < 4; i++) {
            bytes[29 + i] = (unsigned char)(~crc >> (24 - 8 * i));
        }
        return;
    }
    for (size_t i = 2; i + 8 < coded->size; i += 2 + (size_t)(bytes[i + 2] << 8 | bytes[i + 3])) {
        if (bytes[i + 1] == 0xc0 || bytes[i + 1] == 0xc2) {
            bytes[i + 5] = (unsigned char)(height >> 8), bytes[i + 6] = (unsigned char)height;
            bytes[i + 7] = (unsigned char)(width >> 8), bytes[i + 8] = (unsigned char)width;
            return;
        }
    }
    CU_FAIL("no header found");
}

static void test_picture__refuses_claims_beyond_the_limit(void) {
    struct picture rgb = make_shades(3);
    struct coded jpeg = encode(&rgb, 90), png = encode(&rgb, 0);
    int c, h, w;
    claim(&jpeg, 60000, 60000);
    refused(jpeg.bytes, jpeg.size, "JPEG: claims 60000 x 60000 pixels, the limit is 268435456");
    CU_ASSERT_EQUAL(picture_measure(&c, &h, &w, jpeg.bytes, jpeg.size), STATUS_INPUT);
    claim(&png, 60000, 60000);
    refused(png.bytes, png.size, "PNG: claims 60000 x 60000 pixels, the limit is 268435456");
    CU_ASSERT_EQUAL(picture_measure(&c, &h, &w, png.bytes, png.size), STATUS_INPUT);
    claim(&png, 1 << 20, 1);
    refused(png.bytes, png.size, "65535 on a side");
    claim(&png, 0x7fffffff, 0x7fffffff);
    refused(png.bytes, png.size, "PNG: claims 2147483647 x 2147483647 pixels");
    claim(&png, 16384, 16384); /* allowed, but not filled: must be quick and small */
    refused(png.bytes, png.size, "PNG: ");
    claim(&jpeg, 16384, 16384);
    refused(jpeg.bytes, jpeg.size, "JPEG: ");
    claim(&jpeg, 0, 16);
    refused(jpeg.bytes, jpeg.size, "JPEG: ");
    free(jpeg.bytes);
    free(png.bytes);
    picture_release(&rgb);
}

static void test_picture__refuses_memory_that_no_data_can_fill(void) {
    struct picture rgb = make_shades(3);
    struct coded jpeg = coded_jpeg(rgb.pixels, HEIGHT, WIDTH, 3, JCS_RGB, JCS_YCbCr, 10, 0);
    claim(&jpeg, 16384, 16384);
    refused(jpeg.bytes, jpeg.size, "JPEG: Backing store not supported");
    free(jpeg.bytes);
    picture_release(&rgb);
}

static void test_picture__refuses_endless_scans(void) {
    struct picture rgb = make_shades(3);
    struct coded jpeg = coded_jpeg(rgb.pixels, HEIGHT, WIDTH, 3, JCS_RGB, JCS_YCbCr, 379, 0);
    refused(jpeg.bytes, jpeg.size, "JPEG: more than 200 scans");
    free(jpeg.bytes);
    picture_release(&rgb);
}

static void test_picture__encoders_check_what_they_get(void) {
    struct picture rgb = make_shades(3), tall = {1, 65501, 1, rgb.pixels};
    void *bytes = &rgb;
    size_t size;
    TEST_ASSERT_FAILS(
        picture_encode_jpeg(&bytes, &size, &rgb, 0), "quality 0 is not from 1 to 100");
    CU_ASSERT_PTR_NULL(bytes);
    TEST_ASSERT_FAILS(picture_encode_jpeg(&bytes, &size, &rgb, 101), "quality 101");
    TEST_ASSERT_FAILS(picture_encode_jpeg(&bytes, &size, &tall, 90), "the limit is 65500");
    picture_release(&rgb);
}

struct worker {
    pthread_t thread;
    const struct coded *good, *bad;
    const struct picture *expected;
    int wrong;
};

static void *decode_often(void *argument) {
    struct worker *worker = argument;
    for (int i = 0; i < 200; i++) {
        struct picture picture;
        const struct coded *coded = i % 3 == 1 ? worker->bad : worker->good;
        status result = picture_decode(&picture, coded->bytes, coded->size, 3);
        if (coded == worker->bad) {
            worker->wrong += result != STATUS_INPUT;
            continue;
        }
        worker->wrong += result != STATUS_OK ||
                         memcmp(picture.pixels, worker->expected->pixels, 3 * HEIGHT * WIDTH) != 0;
        picture_release(&picture);
    }
    return NULL;
}

static void test_picture__threads_do_not_meet(void) {
    struct picture rgb = make_shades(3);
    struct coded coded[] = {encode(&rgb, 90), encode(&rgb, 0)};
    for (int kind = 0; kind < 2; kind++) {
        struct picture expected = decode(&coded[kind], 3);
        struct coded bad = {coded[kind].bytes, coded[kind].size - 30};
        struct worker workers[4];
        for (int i = 0; i < 4; i++) {
            workers[i] = (struct worker){.good = &coded[kind], .bad = &bad, .expected = &expected};
            CU_ASSERT_EQUAL_FATAL(
                pthread_create(&workers[i].thread, NULL, decode_often, &workers[i]), 0);
        }
        for (int i = 0; i < 4; i++) {
            pthread_join(workers[i].thread, NULL);
            CU_ASSERT_EQUAL(workers[i].wrong, 0);
        }
        picture_release(&expected);
        free(coded[kind].bytes);
    }
    picture_release(&rgb);
}

TEST_MAIN("picture", TEST(test_picture__png_keeps_every_bit), TEST(test_picture__jpeg_keeps_shades),
    TEST(test_picture__grey_to_rgb_and_back), TEST(test_picture__inks_become_rgb),
    TEST(test_picture__jpeg_of_rgb_and_progressive), TEST(test_picture__png_kinds),
    TEST(test_picture__refuses_what_is_no_picture), TEST(test_picture__refuses_every_cut),
    TEST(test_picture__refuses_damaged_data),
    TEST(test_picture__bears_stray_bytes_between_segments),
    TEST(test_picture__refuses_claims_beyond_the_limit),
    TEST(test_picture__refuses_memory_that_no_data_can_fill),
    TEST(test_picture__refuses_endless_scans), TEST(test_picture__encoders_check_what_they_get),
    TEST(test_picture__threads_do_not_meet))
