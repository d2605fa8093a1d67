/* JPEG and PNG to 8-bit grey or RGB, by libjpeg-turbo and libpng.
 *
 * Damaged, truncated, empty or hostile input is a clear STATUS_INPUT failure that says what is
 * wrong; the caller adds the file's name. Sizes are checked against `limit` (pixels) before any
 * memory is taken, so that a header that claims 60000x60000 costs nothing. CMYK JPEG is turned to
 * RGB, palettes and 16 bits are expanded or cut, alpha is dropped (over black). A JPEG decodes with
 * the accurate integer transform and no fancy upsampling, so that its bits depend on the library
 * alone. Thread-safe.
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

#define PICTURE_LIMIT ((size_t)1 << 28) /* pixels of one picture: 16384 x 16384 */

/* By the first bytes. */
enum picture_format picture_detect(const void *bytes, size_t size);

/* Decodes; `channels` = 1 or 3 forces grey (ITU-R 601 luma) or RGB, 0 keeps what is stored. */
status picture_decode(struct picture *picture, const void *bytes, size_t size, int channels);

/* Only the header: the size as stored. */
status picture_measure(int *channels, int *height, int *width, const void *bytes, size_t size);

/* PNG (lossless, level 6) and JPEG (quality 1 to 100), into memory freed by free(). */
status picture_encode_png(void **bytes, size_t *size, const struct picture *picture);
status picture_encode_jpeg(void **bytes, size_t *size, const struct picture *picture, int quality);

void picture_release(struct picture *picture);

#endif
