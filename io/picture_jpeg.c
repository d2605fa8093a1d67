#include "io/picture_codec.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* after stdio.h, which they need */
#include <jerror.h>
#include <jpeglib.h>

#define MEMORY_BASE  ((size_t)64 << 20)
#define MEMORY_RATIO 4096
#define SCANS_LIMIT  200 /* a progressive file has about ten; each costs a pass over the picture */

/* libjpeg reports by a callback that must not return; one of these a call keeps threads apart. */
struct trap {
    struct jpeg_error_mgr manager; /* first: libjpeg hands back its address */
    jmp_buf jump;
    char message[JMSG_LENGTH_MAX];
};

static void on_error(j_common_ptr common) {
    struct trap *trap = (struct trap *)common->err;
    trap->manager.format_message(common, trap->message);
    longjmp(trap->jump, 1);
}

/* Level -1: damaged data, which libjpeg would paper over with grey. Stray bytes between segments
 * and a future JFIF version lose nothing; cameras write such files. */
static void on_message(j_common_ptr common, int level) {
    int code = common->err->msg_code;
    if (level < 0 && code != JWRN_EXTRANEOUS_DATA && code != JWRN_JFIF_MAJOR) {
        on_error(common);
    }
}

static void set_trap(struct jpeg_error_mgr **manager, struct trap *trap) {
    *manager = jpeg_std_error(&trap->manager);
    trap->manager.error_exit = on_error;
    trap->manager.emit_message = on_message;
}

struct decoder {
    struct jpeg_decompress_struct jpeg;
    struct jpeg_progress_mgr progress;
    struct trap trap;
    uint8_t *pixels;
    int stored; /* channels of `pixels`: 1, 3, or 4 (inks) */
};

static void on_progress(j_common_ptr common) {
    const struct decoder *decoder = (const struct decoder *)common;
    if (decoder->jpeg.input_scan_number > SCANS_LIMIT) {
        struct trap *trap = (struct trap *)common->err;
        snprintf(trap->message, sizeof trap->message, "more than %d scans", SCANS_LIMIT);
        longjmp(trap->jump, 1);
    }
}

/* Ends with the header read and its size checked. */
static status start(struct decoder *decoder, const void *bytes, size_t size) {
    struct jpeg_decompress_struct *jpeg = &decoder->jpeg;
    jpeg_create_decompress(jpeg);
    decoder->progress.progress_monitor = on_progress;
    jpeg->progress = &decoder->progress;
    /* A progressive picture keeps all its coefficients, 128 bytes for a block of at least 1 bit;
     * what claims much more than that cannot be whole. */
    const size_t memory = MEMORY_BASE + MEMORY_RATIO * size;
    jpeg->mem->max_memory_to_use = (long)memory;
    jpeg_mem_src(jpeg, bytes, (unsigned long)size);
    jpeg_read_header(jpeg, TRUE);
    TRY(picture_check_size("JPEG", jpeg->image_height, jpeg->image_width));
    if (jpeg->jpeg_color_space == JCS_UNKNOWN) {
        FAIL(STATUS_INPUT, "JPEG: %d components of unknown colours", jpeg->num_components);
    }
    return STATUS_OK;
}

static bool is_ink(const struct jpeg_decompress_struct *jpeg) {
    return jpeg->jpeg_color_space == JCS_CMYK || jpeg->jpeg_color_space == JCS_YCCK;
}

static status read_pixels(struct decoder *decoder, int channels) {
    struct jpeg_decompress_struct *jpeg = &decoder->jpeg;
    bool grey = channels == 1 || (channels == 0 && jpeg->jpeg_color_space == JCS_GRAYSCALE);
    decoder->stored = is_ink(jpeg) ? 4 : grey ? 1 : 3;
    jpeg->out_color_space = is_ink(jpeg) ? JCS_CMYK : grey ? JCS_GRAYSCALE : JCS_RGB;
    jpeg->dct_method = JDCT_ISLOW;
    jpeg->do_fancy_upsampling = FALSE;
    jpeg->do_block_smoothing = FALSE;
    TRY(picture_take_pixels(
        &decoder->pixels, (int)jpeg->image_height, (int)jpeg->image_width, decoder->stored));
    jpeg_start_decompress(jpeg);
    const size_t row = (size_t)jpeg->image_width * (size_t)decoder->stored;
    while (jpeg->output_scanline < jpeg->output_height) {
        JSAMPROW to = decoder->pixels + row * jpeg->output_scanline;
        jpeg_read_scanlines(jpeg, &to, 1);
    }
    jpeg_finish_decompress(jpeg);
    return STATUS_OK;
}

/* Inks to RGB in place, three channels in the place of four. Adobe's files, nearly all there are,
 * store how much light is left: 255 is no ink. */
static void inks_to_rgb(uint8_t *pixels, size_t count, bool light) {
    for (size_t i = 0; i < count; i++) {
        const uint8_t *ink = pixels + 4 * i;
        const unsigned key = light ? ink[3] : 255u - ink[3];
        uint8_t rgb[3];
        for (int c = 0; c < 3; c++) {
            rgb[c] = (uint8_t)(((light ? ink[c] : 255u - ink[c]) * key + 127) / 255);
        }
        memcpy(pixels + 3 * i, rgb, 3);
    }
}

/* Everything that may jump happens below this function, so that no local of a caller is lost. */
static status run(
    struct decoder *decoder, const void *bytes, size_t size, bool header_only, int channels) {
    set_trap(&decoder->jpeg.err, &decoder->trap);
    if (setjmp(decoder->trap.jump) != 0) {
        FAIL(STATUS_INPUT, "JPEG: %s", decoder->trap.message);
    }
    TRY(start(decoder, bytes, size));
    return header_only ? STATUS_OK : read_pixels(decoder, channels);
}

status picture_decode_jpeg(struct picture *picture, const void *bytes, size_t size, int channels) {
    struct decoder decoder = {0};
    status result = run(&decoder, bytes, size, false, channels);
    if (result == STATUS_OK) {
        const int height = (int)decoder.jpeg.image_height, width = (int)decoder.jpeg.image_width;
        if (decoder.stored == 4) {
            inks_to_rgb(
                decoder.pixels, (size_t)height * (size_t)width, decoder.jpeg.saw_Adobe_marker);
            decoder.stored = 3;
        }
        result =
            picture_from_stored(picture, decoder.pixels, height, width, decoder.stored, channels);
        decoder.pixels = NULL;
    }
    free(decoder.pixels);
    jpeg_destroy_decompress(&decoder.jpeg);
    return result;
}

status picture_measure_jpeg(
    int *channels, int *height, int *width, const void *bytes, size_t size) {
    struct decoder decoder = {0};
    status result = run(&decoder, bytes, size, true, 0);
    if (result == STATUS_OK) {
        *channels = decoder.jpeg.jpeg_color_space == JCS_GRAYSCALE ? 1 : 3;
        *height = (int)decoder.jpeg.image_height;
        *width = (int)decoder.jpeg.image_width;
    }
    jpeg_destroy_decompress(&decoder.jpeg);
    return result;
}

struct encoder {
    struct jpeg_compress_struct jpeg;
    struct trap trap;
    unsigned char *bytes;
    unsigned long size;
};

static status encode(struct encoder *encoder, const struct picture *picture, int quality) {
    struct jpeg_compress_struct *jpeg = &encoder->jpeg;
    set_trap(&jpeg->err, &encoder->trap);
    if (setjmp(encoder->trap.jump) != 0) {
        FAIL(STATUS_SYSTEM, "cannot encode JPEG: %s", encoder->trap.message);
    }
    jpeg_create_compress(jpeg);
    jpeg_mem_dest(jpeg, &encoder->bytes, &encoder->size);
    jpeg->image_height = (JDIMENSION)picture->height;
    jpeg->image_width = (JDIMENSION)picture->width;
    jpeg->input_components = picture->channels;
    jpeg->in_color_space = picture->channels == 1 ? JCS_GRAYSCALE : JCS_RGB;
    jpeg_set_defaults(jpeg);
    jpeg_set_quality(jpeg, quality, TRUE);
    jpeg->dct_method = JDCT_ISLOW;
    jpeg_start_compress(jpeg, TRUE);
    const size_t row = (size_t)picture->width * (size_t)picture->channels;
    while (jpeg->next_scanline < jpeg->image_height) {
        JSAMPROW from = picture->pixels + row * jpeg->next_scanline;
        jpeg_write_scanlines(jpeg, &from, 1);
    }
    jpeg_finish_compress(jpeg);
    return STATUS_OK;
}

status picture_encode_jpeg(void **bytes, size_t *size, const struct picture *picture, int quality) {
    struct encoder encoder = {0};
    *bytes = NULL;
    *size = 0;
    if (quality < 1 || quality > 100) {
        FAIL(STATUS_USAGE, "JPEG quality %d is not from 1 to 100", quality);
    }
    if (picture->height > JPEG_MAX_DIMENSION || picture->width > JPEG_MAX_DIMENSION) {
        FAIL(STATUS_USAGE, "a JPEG of %d x %d: the limit is %ld on each side", picture->width,
            picture->height, JPEG_MAX_DIMENSION);
    }
    status result = encode(&encoder, picture, quality);
    jpeg_destroy_compress(&encoder.jpeg);
    if (result != STATUS_OK) {
        free(encoder.bytes);
        return result;
    }
    *bytes = encoder.bytes;
    *size = encoder.size;
    return STATUS_OK;
}
