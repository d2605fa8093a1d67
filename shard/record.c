#include "shard/record.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

static const unsigned char magic[4] = {'C', 'V', 'R', '1'};

static void put(unsigned char *at, uint64_t value, int bytes) {
    for (int i = 0; i < bytes; i++) {
        at[i] = (unsigned char)(value >> (8 * i));
    }
}

static uint64_t get(const unsigned char *at, int bytes) {
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++) {
        value |= (uint64_t)at[i] << (8 * i);
    }
    return value;
}

static uint32_t checksum(const unsigned char *packed, size_t size) {
    return (uint32_t)crc32_z(crc32_z(0, NULL, 0), packed + 8, size - 8);
}

/* What must hold of any record, written or read. */
static status check(const struct record *record) {
    if (record->target.type != TARGET_NONE && record->target.type != TARGET_CLASS) {
        FAIL(STATUS_INPUT, "unknown type of target %d", (int)record->target.type);
    }
    if (record->target.type == TARGET_CLASS && record->target.class_number < 0) {
        FAIL(STATUS_INPUT, "class number %d is negative", record->target.class_number);
    }
    if (record->encoding > RECORD_PNG) {
        FAIL(STATUS_INPUT, "unknown encoding %d", (int)record->encoding);
    }
    struct shape shape = record->shape;
    if ((shape.channels != 1 && shape.channels != 3) || shape.height < 1 || shape.width < 1 ||
        (size_t)shape.height > PICTURE_LIMIT / (size_t)shape.width) {
        FAIL(STATUS_INPUT, "a picture of %dx%dx%d: channels must be 1 or 3, and pixels 1 to %zu",
            shape.channels, shape.height, shape.width, PICTURE_LIMIT);
    }
    if (record->encoding == RECORD_RAW && record->size != shape_elements(shape)) {
        FAIL(STATUS_INPUT, "%zu bytes of raw pixels, where the shape says %zu", record->size,
            shape_elements(shape));
    }
    if (record->size == 0) {
        FAIL(STATUS_INPUT, "no bytes");
    }
    return STATUS_OK;
}

status record_pack(void **packed, size_t *size, const struct record *record) {
    *packed = NULL;
    TRY(check(record));
    TRY(memory_allocate(packed, 1, RECORD_HEADER + record->size));
    unsigned char *at = *packed;
    memcpy(at, magic, sizeof magic);
    put(at + 8, (uint64_t)record->target.type, 1);
    put(at + 9, (uint64_t)record->encoding, 1);
    put(at + 10, (uint64_t)record->shape.channels, 2);
    put(at + 12, (uint64_t)record->shape.height, 4);
    put(at + 16, (uint64_t)record->shape.width, 4);
    put(at + 20, (uint32_t)record->target.class_number, 4);
    put(at + 24, (uint64_t)record->number, 8);
    put(at + 32, record->size, 8);
    memcpy(at + RECORD_HEADER, record->bytes, record->size);
    *size = RECORD_HEADER + record->size;
    put(at + 4, checksum(at, *size), 4);
    return STATUS_OK;
}

status record_unpack(struct record *record, const void *packed, size_t size) {
    const unsigned char *at = packed;
    if (size < RECORD_HEADER) {
        FAIL(STATUS_INPUT, "a record of %zu bytes: its header alone has %d", size, RECORD_HEADER);
    }
    if (memcmp(at, magic, sizeof magic) != 0) {
        FAIL(STATUS_INPUT, "no record of Convoy (it starts with %02x %02x %02x %02x)", at[0], at[1],
            at[2], at[3]);
    }
    if (get(at + 32, 8) != size - RECORD_HEADER) {
        FAIL(STATUS_INPUT, "%zu bytes after the header, where it says %llu", size - RECORD_HEADER,
            (unsigned long long)get(at + 32, 8));
    }
    uint32_t expected = (uint32_t)get(at + 4, 4), found = checksum(at, size);
    if (expected != found) {
        FAIL(
            STATUS_INPUT, "checksum is %08x, must be %08x: the record is damaged", found, expected);
    }
    uint64_t height = get(at + 12, 4), width = get(at + 16, 4), number = get(at + 24, 8);
    *record = (struct record){
        .number = (int64_t)number,
        .target = {.type = (enum target_type)at[8], .class_number = (int32_t)get(at + 20, 4)},
        .encoding = (enum record_encoding)at[9],
        .shape = {.channels = (int)get(at + 10, 2),
            .height = height > INT32_MAX ? 0 : (int)height,
            .width = width > INT32_MAX ? 0 : (int)width},
        .bytes = at + RECORD_HEADER,
        .size = size - RECORD_HEADER,
    };
    return check(record);
}

/* Pixels as stored, from raw or zlib. */
static status unpack_pixels(uint8_t *pixels, const struct record *record) {
    size_t expected = shape_elements(record->shape);
    if (record->encoding == RECORD_RAW) {
        memcpy(pixels, record->bytes, expected);
        return STATUS_OK;
    }
    uLongf size = expected;
    int result = uncompress(pixels, &size, record->bytes, record->size);
    if (result != Z_OK || size != expected) {
        FAIL(STATUS_INPUT, "zlib gives %s (%lu of %zu bytes of pixels)",
            result == Z_OK ? "too little" : zError(result), (unsigned long)size, expected);
    }
    return STATUS_OK;
}

/* Grey is the luma of ITU-R 601, as io/picture.h has it for coded pictures. */
static void convert(uint8_t *out, int out_channels, const uint8_t *in, size_t pixels) {
    for (size_t i = 0; i < pixels; i++) {
        if (out_channels == 1) {
            const uint8_t *rgb = in + 3 * i;
            out[i] = (uint8_t)((299 * rgb[0] + 587 * rgb[1] + 114 * rgb[2] + 500) / 1000);
        } else {
            memset(out + 3 * i, in[i], 3);
        }
    }
}

static status decode_pixels(struct picture *picture, const struct record *record, int channels) {
    size_t pixels = (size_t)record->shape.height * (size_t)record->shape.width;
    *picture = (struct picture){channels, record->shape.height, record->shape.width, NULL};
    TRY(memory_allocate((void **)&picture->pixels, pixels, (size_t)channels));
    if (channels == record->shape.channels) {
        return unpack_pixels(picture->pixels, record);
    }
    uint8_t *stored;
    TRY(memory_allocate((void **)&stored, pixels, (size_t)record->shape.channels));
    status result = unpack_pixels(stored, record);
    if (result == STATUS_OK) {
        convert(picture->pixels, channels, stored, pixels);
    }
    free(stored);
    return result;
}

status record_decode(struct picture *picture, const struct record *record, int channels) {
    *picture = (struct picture){0};
    if (channels == 0) {
        channels = record->shape.channels;
    }
    status result;
    if (record->encoding == RECORD_RAW || record->encoding == RECORD_ZLIB) {
        TRY_TO(failed, result, decode_pixels(picture, record, channels));
        return STATUS_OK;
    }
    /* The header is compared first: a shape that differs must not cost memory. */
    struct shape stored;
    TRY(picture_measure(
        &stored.channels, &stored.height, &stored.width, record->bytes, record->size));
    if (stored.height != record->shape.height || stored.width != record->shape.width) {
        FAIL(STATUS_INPUT, "the picture is %dx%d, its record says %dx%d", stored.width,
            stored.height, record->shape.width, record->shape.height);
    }
    TRY_TO(failed, result, picture_decode(picture, record->bytes, record->size, channels));
    return STATUS_OK;
failed:
    picture_release(picture);
    return result;
}

status record_encode(struct record *record, void **owned, const struct picture *picture,
    enum record_encoding encoding, int quality) {
    *owned = NULL;
    size_t size = 0;
    struct shape shape = {picture->channels, picture->height, picture->width};
    size_t pixels = shape_elements(shape);
    switch (encoding) {
    case RECORD_RAW:
        TRY(memory_allocate(owned, pixels, 1));
        memcpy(*owned, picture->pixels, pixels);
        size = pixels;
        break;
    case RECORD_ZLIB: {
        uLongf coded = compressBound(pixels);
        TRY(memory_allocate(owned, coded, 1));
        if (compress2(*owned, &coded, picture->pixels, pixels, 6) != Z_OK) {
            free(*owned);
            *owned = NULL;
            FAIL(STATUS_SYSTEM, "zlib cannot code %zu bytes", pixels);
        }
        size = coded;
        break;
    }
    case RECORD_JPEG: TRY(picture_encode_jpeg(owned, &size, picture, quality)); break;
    case RECORD_PNG: TRY(picture_encode_png(owned, &size, picture)); break;
    }
    record->encoding = encoding;
    record->shape = shape;
    record->bytes = *owned;
    record->size = size;
    return STATUS_OK;
}
