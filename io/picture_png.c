#include "io/picture_codec.h"

#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define COMPRESSION_LEVEL 6

/* libpng reports by a callback that must not return; one of these a call keeps threads apart. */
struct trap {
    char message[PICTURE_MESSAGE];
};

static void on_error(png_structp png, png_const_charp message) {
    struct trap *trap = png_get_error_ptr(png);
    snprintf(trap->message, sizeof trap->message, "%s", message);
    png_longjmp(png, 1);
}

/* Warnings are about chunks that do not change a pixel. */
static void on_warning(png_structp png, png_const_charp message) {
    (void)png, (void)message;
}

struct decoder {
    png_structp png;
    png_infop info;
    struct trap trap;
    const unsigned char *bytes; /* not yet read */
    size_t size;
    uint8_t *pixels;
    png_bytepp rows;
};

static void read_bytes(png_structp png, png_bytep to, size_t size) {
    struct decoder *decoder = png_get_io_ptr(png);
    if (size > decoder->size) {
        png_error(png, "the file ends early");
    }
    memcpy(to, decoder->bytes, size);
    decoder->bytes += size;
    decoder->size -= size;
}

static status read_header(struct decoder *decoder) {
    png_structp png = decoder->png;
    png_set_read_fn(png, decoder, read_bytes);
    /* Nothing counts but IHDR, PLTE, tRNS, IDAT and IEND: no profile or text is even parsed. */
    png_set_keep_unknown_chunks(png, PNG_HANDLE_CHUNK_NEVER, NULL, -1);
    png_set_user_limits(png, PNG_UINT_31_MAX, PNG_UINT_31_MAX); /* ours come with a message */
    png_read_info(png, decoder->info);
    return picture_check_size(
        "PNG", png_get_image_height(png, decoder->info), png_get_image_width(png, decoder->info));
}

static status read_pixels(struct decoder *decoder) {
    png_structp png = decoder->png;
    png_set_expand(png); /* palettes, fewer than 8 bits, a transparent colour */
    png_set_scale_16(png);
    png_set_interlace_handling(png);
    png_read_update_info(png, decoder->info);
    const int height = (int)png_get_image_height(png, decoder->info);
    const int width = (int)png_get_image_width(png, decoder->info);
    const int channels = png_get_channels(png, decoder->info);
    TRY(picture_take_pixels(&decoder->pixels, height, width, channels));
    decoder->rows = calloc((size_t)height, sizeof *decoder->rows);
    if (decoder->rows == NULL) {
        FAIL(STATUS_SYSTEM, "no memory for a picture of %d rows", height);
    }
    for (int y = 0; y < height; y++) {
        decoder->rows[y] = decoder->pixels + (size_t)y * (size_t)width * (size_t)channels;
    }
    png_read_image(png, decoder->rows);
    png_read_end(png, NULL);
    return STATUS_OK;
}

/* Everything that may jump happens below this function, so that no local of a caller is lost. */
static status run(struct decoder *decoder, bool header_only) {
    decoder->png =
        png_create_read_struct(PNG_LIBPNG_VER_STRING, &decoder->trap, on_error, on_warning);
    decoder->info = decoder->png != NULL ? png_create_info_struct(decoder->png) : NULL;
    if (decoder->info == NULL) {
        FAIL(STATUS_SYSTEM, "no memory for libpng");
    }
    if (setjmp(png_jmpbuf(decoder->png)) != 0) {
        FAIL(STATUS_INPUT, "PNG: %s", decoder->trap.message);
    }
    TRY(read_header(decoder));
    return header_only ? STATUS_OK : read_pixels(decoder);
}

status picture_decode_png(struct picture *picture, const void *bytes, size_t size, int channels) {
    struct decoder decoder = {.bytes = bytes, .size = size};
    status result = run(&decoder, false);
    if (result == STATUS_OK) {
        result = picture_from_stored(picture, decoder.pixels,
            (int)png_get_image_height(decoder.png, decoder.info),
            (int)png_get_image_width(decoder.png, decoder.info),
            png_get_channels(decoder.png, decoder.info), channels);
        decoder.pixels = NULL;
    }
    free(decoder.pixels);
    free(decoder.rows);
    png_destroy_read_struct(&decoder.png, &decoder.info, NULL);
    return result;
}

status picture_measure_png(int *channels, int *height, int *width, const void *bytes, size_t size) {
    struct decoder decoder = {.bytes = bytes, .size = size};
    status result = run(&decoder, true);
    if (result == STATUS_OK) {
        int colour = png_get_color_type(decoder.png, decoder.info);
        *channels = colour & PNG_COLOR_MASK_COLOR ? 3 : 1;
        *height = (int)png_get_image_height(decoder.png, decoder.info);
        *width = (int)png_get_image_width(decoder.png, decoder.info);
    }
    png_destroy_read_struct(&decoder.png, &decoder.info, NULL);
    return result;
}

struct encoder {
    png_structp png;
    png_infop info;
    struct trap trap;
    unsigned char *bytes;
    size_t size, room;
};

static void write_bytes(png_structp png, png_bytep from, size_t size) {
    struct encoder *encoder = png_get_io_ptr(png);
    if (size > encoder->room - encoder->size) {
        size_t room = 2 * (encoder->room + size);
        unsigned char *more = realloc(encoder->bytes, room);
        if (more == NULL) {
            png_error(png, "no memory");
        }
        encoder->bytes = more;
        encoder->room = room;
    }
    memcpy(encoder->bytes + encoder->size, from, size);
    encoder->size += size;
}

static void flush_bytes(png_structp png) {
    (void)png;
}

static status encode(struct encoder *encoder, const struct picture *picture) {
    encoder->png =
        png_create_write_struct(PNG_LIBPNG_VER_STRING, &encoder->trap, on_error, on_warning);
    encoder->info = encoder->png != NULL ? png_create_info_struct(encoder->png) : NULL;
    if (encoder->info == NULL) {
        FAIL(STATUS_SYSTEM, "no memory for libpng");
    }
    if (setjmp(png_jmpbuf(encoder->png)) != 0) {
        FAIL(STATUS_SYSTEM, "cannot encode PNG: %s", encoder->trap.message);
    }
    png_structp png = encoder->png;
    png_set_write_fn(png, encoder, write_bytes, flush_bytes);
    png_set_compression_level(png, COMPRESSION_LEVEL);
    png_set_IHDR(png, encoder->info, (png_uint_32)picture->width, (png_uint_32)picture->height, 8,
        picture->channels == 1 ? PNG_COLOR_TYPE_GRAY : PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
        PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(png, encoder->info);
    for (int y = 0; y < picture->height; y++) {
        png_write_row(
            png, picture->pixels + (size_t)y * (size_t)picture->width * (size_t)picture->channels);
    }
    png_write_end(png, NULL);
    return STATUS_OK;
}

status picture_encode_png(void **bytes, size_t *size, const struct picture *picture) {
    struct encoder encoder = {0};
    status result = encode(&encoder, picture);
    png_destroy_write_struct(&encoder.png, &encoder.info);
    *bytes = NULL;
    *size = 0;
    if (result != STATUS_OK) {
        free(encoder.bytes);
        return result;
    }
    *bytes = encoder.bytes;
    *size = encoder.size;
    return STATUS_OK;
}
