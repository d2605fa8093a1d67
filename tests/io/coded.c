#include "io/coded.h"

#include <png.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* after stdio.h, which it needs */
#include <jpeglib.h>

/* Each coefficient of each component in two scans of its own, the lowest bit apart. */
static int scan_script(jpeg_scan_info *scans, int components) {
    int count = 0;
    jpeg_scan_info all = {components, {0, 1, 2, 3}, 0, 0, 0, 0};
    scans[count++] = all;
    for (int bit = 1; bit >= 0; bit--) {
        for (int c = 0; c < components; c++) {
            for (int k = 1; k < 64; k++) {
                jpeg_scan_info one = {1, {c}, k, k, bit == 1 ? 0 : 1, bit};
                scans[count++] = one;
            }
        }
    }
    return count;
}

struct coded coded_jpeg(const uint8_t *pixels, int height, int width, int components, int in_space,
    int space, int scans, int adobe) {
    struct jpeg_compress_struct jpeg = {0};
    struct jpeg_error_mgr manager;
    jpeg_scan_info script[400];
    unsigned char *bytes = NULL;
    unsigned long size = 0;
    jpeg.err = jpeg_std_error(&manager); /* prints and exits: the test is wrong then */
    jpeg_create_compress(&jpeg);
    jpeg_mem_dest(&jpeg, &bytes, &size);
    jpeg.image_height = (JDIMENSION)height;
    jpeg.image_width = (JDIMENSION)width;
    jpeg.input_components = components;
    jpeg.in_color_space = (J_COLOR_SPACE)in_space;
    jpeg_set_defaults(&jpeg);
    jpeg_set_colorspace(&jpeg, (J_COLOR_SPACE)space);
    jpeg_set_quality(&jpeg, 100, TRUE);
    if (!adobe) {
        jpeg.write_Adobe_marker = FALSE;
    }
    if (scans == 10) {
        jpeg_simple_progression(&jpeg);
    } else if (scans > 10) {
        jpeg.num_scans = scan_script(script, components);
        jpeg.scan_info = script;
    }
    jpeg_start_compress(&jpeg, TRUE);
    for (int y = 0; y < height; y++) {
        uint8_t *row = malloc((size_t)width * (size_t)components);
        memcpy(row, pixels + (size_t)y * (size_t)width * (size_t)components,
            (size_t)width * (size_t)components);
        JSAMPROW from = row;
        jpeg_write_scanlines(&jpeg, &from, 1);
        free(row);
    }
    jpeg_finish_compress(&jpeg);
    jpeg_destroy_compress(&jpeg);
    return (struct coded){bytes, size};
}

static void append(png_structp png, png_bytep from, size_t size) {
    struct coded *coded = png_get_io_ptr(png);
    coded->bytes = realloc(coded->bytes, coded->size + size);
    memcpy(coded->bytes + coded->size, from, size);
    coded->size += size;
}

static void flush(png_structp png) {
    (void)png;
}

struct coded coded_png(
    const uint8_t *rows, int height, int width, const struct coded_png_options *options) {
    struct coded coded = {0};
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(png);
    png_set_write_fn(png, &coded, append, flush);
    png_set_IHDR(png, info, (png_uint_32)width, (png_uint_32)height, options->depth,
        options->colour, options->interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE,
        PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    if (options->palette != NULL) {
        png_color palette[256];
        for (int i = 0; i < options->palette_count; i++) {
            const uint8_t *entry = options->palette + 3 * i;
            palette[i] = (png_color){entry[0], entry[1], entry[2]};
        }
        png_set_PLTE(png, info, palette, options->palette_count);
        if (options->alpha != NULL) {
            png_set_tRNS(png, info, options->alpha, options->palette_count, NULL);
        }
    }
    if (options->transparent > 0) {
        png_color_16 value = {.gray = (png_uint_16)(options->transparent - 1)};
        png_set_tRNS(png, info, NULL, 0, &value);
    }
    png_write_info(png, info);
    const size_t row = png_get_rowbytes(png, info);
    png_bytep *all = malloc((size_t)height * sizeof *all);
    for (int y = 0; y < height; y++) {
        all[y] = (png_bytep)(uintptr_t)(rows + (size_t)y * row);
    }
    png_write_image(png, all);
    png_write_end(png, NULL);
    free(all);
    png_destroy_write_struct(&png, &info);
    return coded;
}
