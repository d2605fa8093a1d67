#include "worker/tensor.h"

#include "base/memory.h"

#include <string.h>

void tensor_init(
    struct tensor *tensor, struct shape shape, int border_height, int border_width, int pictures) {
    *tensor = (struct tensor){
        .shape = shape,
        .type = ELEMENT_FLOAT32,
        .border_height = border_height,
        .border_width = border_width,
        .pictures = pictures,
    };
    tensor->row_stride = ((ptrdiff_t)shape.width + 2 * border_width) * CHANNEL_BLOCK;
    tensor->block_stride = ((ptrdiff_t)shape.height + 2 * border_height) * tensor->row_stride;
    tensor->picture_stride = shape_blocks(shape.channels) * tensor->block_stride;
}

size_t tensor_bytes(const struct tensor *tensor) {
    size_t bytes = (size_t)tensor->pictures * (size_t)tensor->picture_stride * sizeof(float);
    return (bytes + MEMORY_ALIGNMENT - 1) / MEMORY_ALIGNMENT * MEMORY_ALIGNMENT;
}

void tensor_place(struct tensor *tensor, void *memory) {
    tensor->data = (float *)memory + tensor->border_height * tensor->row_stride +
                   (ptrdiff_t)tensor->border_width * CHANNEL_BLOCK;
}

static void clear_pixels(float *pixels, ptrdiff_t count) {
    memset(pixels, 0, (size_t)count * CHANNEL_BLOCK * sizeof(float));
}

/* Zeroes the border of one channel block; it begins and ends with whole rows. */
static void clear_block_border(const struct tensor *tensor, int picture, int block) {
    int height = tensor->shape.height, width = tensor->shape.width;
    int above = tensor->border_height, beside = tensor->border_width;
    ptrdiff_t row = tensor->row_stride / CHANNEL_BLOCK;
    clear_pixels(tensor_at(tensor, picture, block, -above, -beside), above * row);
    for (int h = 0; h < height; h++) {
        clear_pixels(tensor_at(tensor, picture, block, h, -beside), beside);
        clear_pixels(tensor_at(tensor, picture, block, h, width), beside);
    }
    clear_pixels(tensor_at(tensor, picture, block, height, -beside), above * row);
}

void tensor_clear_border(const struct tensor *tensor, int first, int count) {
    if (tensor->border_height == 0 && tensor->border_width == 0) {
        return;
    }
    int blocks = shape_blocks(tensor->shape.channels);
    for (int picture = first; picture < first + count; picture++) {
        for (int block = 0; block < blocks; block++) {
            clear_block_border(tensor, picture, block);
        }
    }
}

/* One row of one channel block: pixel by pixel where there are few channels, each cache line
 * written once and the next row's fetched ahead, or this waits for memory ... */
static inline __attribute__((always_inline)) void load_pixels(
    float *row, const float *planar, int width, int lanes, size_t pixels) {
    for (int w = 0; w < width; w++, row += CHANNEL_BLOCK, planar++) {
        __builtin_prefetch(row + (ptrdiff_t)width * CHANNEL_BLOCK, 1, 2);
        memset(row, 0, CHANNEL_BLOCK * sizeof(float));
        for (int lane = 0; lane < lanes; lane++) {
            row[lane] = planar[(size_t)lane * pixels];
        }
    }
}

/* ... or lane by lane, while the row is in the first cache. */
static void load_lanes(float *row, const float *planar, int width, int lanes, size_t pixels) {
    if (lanes < CHANNEL_BLOCK) {
        clear_pixels(row, width);
    }
    for (int lane = 0; lane < lanes; lane++) {
        const float *from = planar + (size_t)lane * pixels;
        for (int w = 0; w < width; w++) {
            row[w * CHANNEL_BLOCK + lane] = from[w];
        }
    }
}

static void load_row(float *row, const float *planar, int width, int lanes, size_t pixels) {
    switch (lanes) {
    case 1: load_pixels(row, planar, width, 1, pixels); break;
    case 3: load_pixels(row, planar, width, 3, pixels); break;
    default: load_lanes(row, planar, width, lanes, pixels);
    }
}

void tensor_load_planar(const struct tensor *tensor, const float *planar, int count) {
    struct shape shape = tensor->shape;
    size_t pixels = (size_t)shape.height * (size_t)shape.width;
    tensor_clear_border(tensor, 0, count);
    for (int picture = 0; picture < count; picture++) {
        for (int left = shape.channels; left > 0; left -= CHANNEL_BLOCK) {
            int lanes = left < CHANNEL_BLOCK ? left : CHANNEL_BLOCK;
            int block = (shape.channels - left) / CHANNEL_BLOCK;
            for (int h = 0; h < shape.height; h++) {
                load_row(tensor_at(tensor, picture, block, h, 0), planar + h * shape.width,
                    shape.width, lanes, pixels);
            }
            planar += (size_t)lanes * pixels;
        }
    }
}

void tensor_store_planar(float *planar, const struct tensor *tensor, int count) {
    struct shape shape = tensor->shape;
    for (int picture = 0; picture < count; picture++) {
        for (int c = 0; c < shape.channels; c++) {
            for (int h = 0; h < shape.height; h++) {
                const float *from =
                    tensor_at(tensor, picture, c / CHANNEL_BLOCK, h, 0) + c % CHANNEL_BLOCK;
                for (int w = 0; w < shape.width; w++) {
                    *planar++ = from[w * CHANNEL_BLOCK];
                }
            }
        }
    }
}
