/* Activations and their gradients in memory: N . C/16 . H . W . 16c, with an optional zero border.
 *
 * `data` points at pixel (0, 0) of block 0 of picture 0, inside the border. The element
 * (picture n, channel c, row h, column w) lies at
 *
 *     data[n * picture_stride + (c / 16) * block_stride + h * row_stride + w * 16 + c % 16]
 *
 * Rows -border_height .. height-1+border_height and columns -border_width .. width-1+border_width
 * may be read: the border is zero. Lanes of channels past `channels` in the last block are zero
 * after every layer. A tensor has room for `pictures` pictures; a pass uses the first few of them.
 */
#ifndef WORKER_TENSOR_H
#define WORKER_TENSOR_H

#include "base/shape.h"

#include <stddef.h>

enum element_type { ELEMENT_FLOAT32 };

struct tensor {
    struct shape shape;
    enum element_type type;
    int border_height, border_width;
    int pictures;
    ptrdiff_t row_stride;     /* floats from a row to the next: (width + 2 border_width) * 16 */
    ptrdiff_t block_stride;   /* from a channel block to the next */
    ptrdiff_t picture_stride; /* from a picture to the next */
    float *data;              /* NULL until the memory plan is carried out */
};

/* Fills everything but data. */
void tensor_init(
    struct tensor *tensor, struct shape shape, int border_height, int border_width, int pictures);

/* Bytes from the first to the last element, borders included, rounded up to 64. */
size_t tensor_bytes(const struct tensor *tensor);

/* Sets data so that the tensor, border and all, begins at `memory` (64-byte aligned). */
void tensor_place(struct tensor *tensor, void *memory);

/* Address of the 16 lanes at (picture, block, row, column). */
static inline float *tensor_at(
    const struct tensor *t, int picture, int block, int row, int column) {
    return t->data + picture * t->picture_stride + block * t->block_stride + row * t->row_stride +
           (ptrdiff_t)column * CHANNEL_BLOCK;
}

/* Zeroes the border of pictures [first, first + count). */
void tensor_clear_border(const struct tensor *tensor, int first, int count);

/* Between the blocked layout and planar [picture][channel][row][column], `count` pictures. Loading
 * writes the border and the padding lanes too (zero). */
void tensor_load_planar(const struct tensor *tensor, const float *planar, int count);
void tensor_store_planar(float *planar, const struct tensor *tensor, int count);

#endif
