#include "worker/kernels/convolution_plan.h"

#include <string.h>

static size_t taps_of(const struct convolution *c) {
    return (size_t)c->shape.kernel_height * (size_t)c->shape.kernel_width;
}

/* Floats from a tap to the next of a tile. */
static size_t tap_step(const struct channel_tile *tile) {
    return (size_t)CHANNEL_BLOCK * (size_t)channel_tile_width(tile);
}

/* The taps of (o, i of its group) are neighbours in standard order. In the packed weights the first
 * of them lies here, and each next one tap_step further. */
static size_t first_tap(
    const struct convolution *c, const struct channel_tile *tile, int o, int i) {
    const struct convolution_shape *shape = &c->shape;
    int group = o / (shape->output_channels / shape->groups);
    int channel = group * (shape->input.channels / shape->groups) + i;
    size_t block = (size_t)(channel / CHANNEL_BLOCK - tile->other_block);
    size_t lane = block * taps_of(c) * CHANNEL_BLOCK + (size_t)(channel % CHANNEL_BLOCK);
    return tile->offset + lane * (size_t)channel_tile_width(tile) +
           (size_t)(o - tile->block * CHANNEL_BLOCK);
}

/* The weights of output channel o, and back. */
static void pack_output(float *packed, const float *standard, const struct convolution *c,
    const struct channel_tile *tile, int o) {
    const int inputs = c->shape.input.channels / c->shape.groups;
    const size_t taps = taps_of(c), step = tap_step(tile);
    standard += (size_t)o * (size_t)inputs * taps;
    for (int i = 0; i < inputs; i++) {
        float *to = packed + first_tap(c, tile, o, i);
        for (size_t t = 0; t < taps; t++) {
            to[t * step] = *standard++;
        }
    }
}

static void unpack_output(float *standard, const float *packed, const struct convolution *c,
    const struct channel_tile *tile, int o) {
    const int inputs = c->shape.input.channels / c->shape.groups;
    const size_t taps = taps_of(c), step = tap_step(tile);
    standard += (size_t)o * (size_t)inputs * taps;
    for (int i = 0; i < inputs; i++) {
        const float *from = packed + first_tap(c, tile, o, i);
        for (size_t t = 0; t < taps; t++) {
            *standard++ = from[t * step];
        }
    }
}

/* Output channels [first, past) lie in a tile. */
static int first_output(const struct channel_tile *tile) {
    return tile->block * CHANNEL_BLOCK;
}

static int past_output(const struct convolution *c, const struct channel_tile *tile) {
    int past = first_output(tile) + channel_tile_width(tile);
    return past < c->shape.output_channels ? past : c->shape.output_channels;
}

void convolution_pack(float *packed, const float *standard, const struct convolution *convolution) {
#pragma omp parallel for num_threads(convolution->threads) schedule(static)
    for (int t = 0; t < convolution->output.tiles; t++) {
        const struct channel_tile *tile = &convolution->output.tile[t];
        size_t size = (size_t)tile->other_blocks * taps_of(convolution) * tap_step(tile);
        memset(packed + tile->offset, 0, size * sizeof(float));
        for (int o = first_output(tile); o < past_output(convolution, tile); o++) {
            pack_output(packed, standard, convolution, tile, o);
        }
    }
}

void convolution_unpack(
    float *standard, const float *packed, const struct convolution *convolution) {
#pragma omp parallel for num_threads(convolution->threads) schedule(static)
    for (int t = 0; t < convolution->output.tiles; t++) {
        const struct channel_tile *tile = &convolution->output.tile[t];
        for (int o = first_output(tile); o < past_output(convolution, tile); o++) {
            unpack_output(standard, packed, convolution, tile, o);
        }
    }
}
