/* What the picture formats share. Private to io/. */
#ifndef IO_PICTURE_CODEC_H
#define IO_PICTURE_CODEC_H

#include "io/picture.h"

#include <stdbool.h>

/* One of a format's messages ends here, cut where it is longer. */
#define PICTURE_MESSAGE 200

/* Refuses what is empty or above the limits, before memory is taken for it. */
status picture_check_size(const char *format, uint64_t height, uint64_t width);

/* Memory for height x width x channels, zeroed but untouched: a damaged file that claims a large
 * size costs no more than what it fills. */
status picture_take_pixels(uint8_t **pixels, int height, int width, int channels);

/* Makes a picture of `channels` (1, 3; 0: as stored) from pixels[height][width][stored], where
 * stored is grey, grey + alpha, RGB or RGB + alpha (1 to 4). Takes `pixels`, also on failure. */
status picture_from_stored(
    struct picture *picture, uint8_t *pixels, int height, int width, int stored, int channels);

status picture_decode_jpeg(struct picture *picture, const void *bytes, size_t size, int channels);
status picture_decode_png(struct picture *picture, const void *bytes, size_t size, int channels);
status picture_measure_jpeg(int *channels, int *height, int *width, const void *bytes, size_t size);
status picture_measure_png(int *channels, int *height, int *width, const void *bytes, size_t size);

#endif
