/* Coded pictures of kinds that Convoy reads but does not write, for the tests of io/picture.h. */
#ifndef TESTS_IO_CODED_H
#define TESTS_IO_CODED_H

#include <stddef.h>
#include <stdint.h>

struct coded {
    unsigned char *bytes; /* freed by free() */
    size_t size;
};

/* A JPEG from rows of `components` bytes a pixel. `space` and `in_space` are J_COLOR_SPACE numbers
 * (of the file, of the rows); `scans` 1: sequential, 10: progressive as usual, above: one scan for
 * every coefficient; `adobe` 0 leaves Adobe's marker out. Quality 100. */
struct coded coded_jpeg(const uint8_t *pixels, int height, int width, int components, int in_space,
    int space, int scans, int adobe);

/* A PNG from rows as libpng takes them (16 bits: big-endian). `colour` is a PNG_COLOR_TYPE.
 * `palette` of `palette_count` RGB entries with `alpha` (or NULL); `transparent` >= 0 is a grey
 * value that is transparent. */
struct coded_png_options {
    int depth, colour, interlaced;
    const uint8_t *palette;
    int palette_count;
    const uint8_t *alpha;
    int transparent; /* grey value + 1; 0: none */
};
struct coded coded_png(
    const uint8_t *rows, int height, int width, const struct coded_png_options *options);

#endif
