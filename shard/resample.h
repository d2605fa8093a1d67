/* Resampling of pictures: bilinear, with antialiasing where the picture shrinks (a triangle filter
 * as wide as the scale, as Pillow and torchvision do). Weights come from + - * / in double alone,
 * sums are taken in float in a fixed order: the same bits on every machine.
 */
#ifndef SHARD_RESAMPLE_H
#define SHARD_RESAMPLE_H

#include "shard/transform.h"

struct box {
    int y, x, height, width;
};

/* The box of the picture, scaled to height x width, becomes the picture. The box must lie inside;
 * both buffers must have the room of max(heights) x max(widths). */
void resample(struct transform_picture *picture, struct box box, int height, int width);

/* The box of the picture becomes the picture, unscaled. */
void resample_cut(struct transform_picture *picture, struct box box);

#endif
