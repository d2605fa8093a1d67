#include "io/picture.h"

#include "io/picture_codec.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum picture_format picture_detect(const void *bytes, size_t size) {
    static const unsigned char jpeg[] = {0xff, 0xd8, 0xff};
    static const unsigned char png[] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    if (size >= sizeof jpeg && memcmp(bytes, jpeg, sizeof jpeg) == 0) {
        return PICTURE_JPEG;
    }
    if (size >= sizeof png && memcmp(bytes, png, sizeof png) == 0) {
        return PICTURE_PNG;
    }
    return PICTURE_UNKNOWN;
}

static status refuse_unknown(size_t size) {
    if (size == 0) {
        FAIL(STATUS_INPUT, "no picture: 0 bytes");
    }
    FAIL(STATUS_INPUT, "no picture: neither JPEG nor PNG");
}

status picture_decode(struct picture *picture, const void *bytes, size_t size, int channels) {
    assert(channels == 0 || channels == 1 || channels == 3);
    *picture = (struct picture){0};
    switch (picture_detect(bytes, size)) {
    case PICTURE_JPEG: return picture_decode_jpeg(picture, bytes, size, channels);
    case PICTURE_PNG: return picture_decode_png(picture, bytes, size, channels);
    case PICTURE_UNKNOWN: break;
    }
    return refuse_unknown(size);
}

status picture_measure(int *channels, int *height, int *width, const void *bytes, size_t size) {
    switch (picture_detect(bytes, size)) {
    case PICTURE_JPEG: return picture_measure_jpeg(channels, height, width, bytes, size);
    case PICTURE_PNG: return picture_measure_png(channels, height, width, bytes, size);
    case PICTURE_UNKNOWN: break;
    }
    return refuse_unknown(size);
}

void picture_release(struct picture *picture) {
    free(picture->pixels);
    *picture = (struct picture){0};
}

status picture_check_size(const char *format, uint64_t height, uint64_t width) {
    if (height == 0 || width == 0 || height > PICTURE_SIDE_LIMIT || width > PICTURE_SIDE_LIMIT ||
        height * width > PICTURE_LIMIT) {
        FAIL(STATUS_INPUT, "%s: claims %llu x %llu pixels, the limit is %zu and %d on a side",
            format, (unsigned long long)width, (unsigned long long)height, PICTURE_LIMIT,
            PICTURE_SIDE_LIMIT);
    }
    return STATUS_OK;
}

status picture_take_pixels(uint8_t **pixels, int height, int width, int channels) {
    *pixels = calloc((size_t)height * (size_t)width, (size_t)channels);
    if (*pixels == NULL) {
        FAIL(STATUS_SYSTEM, "no memory for a picture of %d x %d x %d", channels, height, width);
    }
    return STATUS_OK;
}

/* ITU-R BT.601 with 16 bits after the point, as libjpeg computes it. */
static uint8_t luma(const uint8_t *rgb) {
    return (uint8_t)((19595u * rgb[0] + 38470u * rgb[1] + 7471u * rgb[2] + 32768u) >> 16);
}

static uint8_t over_black(uint8_t value, uint8_t alpha) {
    return (uint8_t)((value * alpha + 127) / 255);
}

status picture_from_stored(
    struct picture *picture, uint8_t *pixels, int height, int width, int stored, int channels) {
    const int colours = stored < 3 ? 1 : 3;
    const bool alpha = stored == 2 || stored == 4;
    channels = channels == 0 ? colours : channels;
    *picture = (struct picture){channels, height, width, pixels};
    if (stored == channels) {
        return STATUS_OK;
    }
    status result = picture_take_pixels(&picture->pixels, height, width, channels);
    const size_t count = result == STATUS_OK ? (size_t)height * (size_t)width : 0;
    for (size_t i = 0; i < count; i++) {
        uint8_t value[3] = {0};
        for (int c = 0; c < 3; c++) {
            value[c] = pixels[i * (size_t)stored + (size_t)(colours == 3 ? c : 0)];
            if (alpha) {
                value[c] = over_black(value[c], pixels[(i + 1) * (size_t)stored - 1]);
            }
        }
        if (channels == 3) {
            memcpy(picture->pixels + 3 * i, value, 3);
        } else {
            picture->pixels[i] = colours == 3 ? luma(value) : value[0];
        }
    }
    free(pixels);
    if (result != STATUS_OK) {
        *picture = (struct picture){0};
    }
    return result;
}
