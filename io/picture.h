/* JPEG and PNG to 8-bit grey or RGB, by libjpeg-turbo and libpng, and back.
 *
 * Damaged, truncated, empty or hostile input is a clear STATUS_INPUT failure that says what is
 * wrong; the caller adds the file's name. Sizes are checked against the limits below before any
 * memory is taken, so that a header that claims 60000x60000 costs nothing. What libjpeg only warns
 * about (data that ends early or does not decode) is an error too, but for stray bytes between
 * segments.
 *
 * CMYK JPEG is turned to RGB, palettes and fewer bits are expanded, 16 bits are rounded to 8, alpha
 * is laid over black; gamma and colour profiles are left aside. A JPEG decodes with the accurate
 * integer transform and no fancy upsampling, so that its bits depend on the library alone.
 * Thread-safe.
 */
#ifndef IO_PICTURE_H
#define IO_PICTURE_H

#include "base/status.h"

#include <stddef.h>
#include <stdint.h>

enum picture_format { PICTURE_UNKNOWN, PICTURE_JPEG, PICTURE_PNG };

/* Interleaved rows: pixels[(y * width + x) * channels + c]. */
struct picture {
    int channels; /* 1 or 3 */
    int height, width;
    uint8_t *pixels; /* freed by picture_release */
};

#define PICTURE_LIMIT      ((size_t)1 << 28) /* pixels of one picture: 16384 x 16384 */
#define PICTURE_SIDE_LIMIT 65535             /* pixels of its height and its width */

/* By the first bytes. */
enum picture_format picture_detect(const void *bytes, size_t size);

/* Decodes into *picture, to be released by picture_release; it is empty after a failure. `channels`
 * = 1 or 3 forces grey (ITU-R BT.601 luma) or RGB; 0 keeps what is stored, grey or colour. */
status picture_decode(struct picture *picture, const void *bytes, size_t size, int channels);

/* Only the header: what picture_decode with 0 channels would give, if the rest is sound. */
status picture_measure(int *channels, int *height, int *width, const void *bytes, size_t size);

/* PNG (lossless, level 6) and JPEG (quality 1 to 100), into memory freed by free().
 * STATUS_USAGE for another quality or a side above JPEG's 65500 pixels. */
status picture_encode_png(void **bytes, size_t *size, const struct picture *picture);
status picture_encode_jpeg(void **bytes, size_t *size, const struct picture *picture, int quality);

void picture_release(struct picture *picture);

#endif
