/* Shapes of pictures and activations, and the size of a channel block. */
#ifndef BASE_SHAPE_H
#define BASE_SHAPE_H

#include "base/status.h"

#include <stdbool.h>
#include <stddef.h>

#define CHANNEL_BLOCK 16 /* channels that lie side by side in memory: one AVX-512 vector */

/* One picture or one activation: channels x height x width. A vector is channels x 1 x 1. */
struct shape {
    int channels;
    int height;
    int width;
};

bool shape_equal(struct shape a, struct shape b);

/* Whether the shape may be used: every side at least 1, and fewer than 2^31 elements with the
 * channels padded to whole blocks, as tensors hold them. Who makes a shape from numbers of a file
 * asks; everyone else may then count elements and pixels in int. */
bool shape_fits(struct shape shape);

/* channels * height * width. */
size_t shape_elements(struct shape shape);

/* ceil(channels / 16): how many channel blocks hold them. */
int shape_blocks(int channels);

/* Writes "64x56x56" (channels x height x width) into text[size]; returns text. */
const char *shape_text(struct shape shape, char *text, size_t size);

#endif
