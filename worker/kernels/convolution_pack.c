#include "worker/kernels/convolution_plan.h"

#include <string.h>

/* Where the standard element (o, i of its group, row, column) lies in the packed weights. */
static size_t packed_place(const struct convolution *c, int o, int i, int row, int column) {
    const struct convolution_shape *shape = &c->shape;
    int group = o / (shape->output_channels / shape->groups);
    int channel = group * (shape->input.channels / shape->groups) + i;
    const struct channel_tile *tile = &c->output.tile[o / (c->output.tile_blocks * CHANNEL_BLOCK)];
    size_t block = (size_t)(channel / CHANNEL_BLOCK - tile->other_block);
    size_t tap =
        (block * (size_t)shape->kernel_height + (size_t)row) * (size_t)shape->kernel_width +
        (size_t)column;
    size_t lane = tap * CHANNEL_BLOCK + (size_t)(channel % CHANNEL_BLOCK);
    return tile->offset + lane * (size_t)channel_tile_width(tile) +
           (size_t)(o - tile->block * CHANNEL_BLOCK);
}

void convolution_pack(float *packed, const float *standard, const struct convolution *convolution) {
    const struct convolution_shape *shape = &convolution->shape;
    memset(packed, 0, convolution->packed * sizeof(float));
    for (int o = 0; o < shape->output_channels; o++) {
        for (int i = 0; i < shape->input.channels / shape->groups; i++) {
            for (int row = 0; row < shape->kernel_height; row++) {
                for (int column = 0; column < shape->kernel_width; column++) {
                    packed[packed_place(convolution, o, i, row, column)] = *standard++;
                }
            }
        }
    }
}

void convolution_unpack(
    float *standard, const float *packed, const struct convolution *convolution) {
    const struct convolution_shape *shape = &convolution->shape;
    for (int o = 0; o < shape->output_channels; o++) {
        for (int i = 0; i < shape->input.channels / shape->groups; i++) {
            for (int row = 0; row < shape->kernel_height; row++) {
                for (int column = 0; column < shape->kernel_width; column++) {
                    *standard++ = packed[packed_place(convolution, o, i, row, column)];
                }
            }
        }
    }
}
