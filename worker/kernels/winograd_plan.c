#include "worker/kernels/winograd_plan.h"

#include <string.h>

/* Faster than the direct kernels in every direction from here on (bench/RESULTS.md). */
#define FEWEST_CHANNELS 32  /* of a group, in and out */
#define FEWEST_PIXELS   4   /* rows, and columns, of the output */
#define LEAST_SAVING    2.0 /* of products */

static bool can_be(const struct convolution *c, const struct winograd_kernels *form) {
    const struct convolution_axis *axis[2] = {&c->height, &c->width};
    for (int i = 0; i < 2; i++) {
        if (axis[i]->kernel != form->kernel || axis[i]->stride != 1 || axis[i]->dilation != 1 ||
            axis[i]->pad >= form->kernel) {
            return false;
        }
    }
    return !c->masked;
}

static bool is_wished(const struct winograd_kernels *form, enum engine_winograd wish) {
    return wish == WINOGRAD_ON || form->output == (wish == WINOGRAD_2X2 ? 2 : 4);
}

/* The direct kernels' products by those of a form, whose last tiles may reach over the map's edge.
 */
static double saving(const struct convolution *c, const struct winograd_kernels *form) {
    int tiles = winograd_tiles(form, c->height.output) * winograd_tiles(form, c->width.output);
    return (double)form->taps * c->height.output * c->width.output /
           ((double)form->frequencies * tiles);
}

/* Faster than the direct kernels, and not only possible. */
static bool is_worth(const struct convolution *c, const struct winograd_kernels *form) {
    int in = c->shape.input.channels / c->shape.groups;
    int out = c->shape.output_channels / c->shape.groups;
    return in >= FEWEST_CHANNELS && out >= FEWEST_CHANNELS && c->height.output >= FEWEST_PIXELS &&
           c->width.output >= FEWEST_PIXELS && saving(c, form) >= LEAST_SAVING;
}

const struct winograd_kernels *winograd_choose(
    const struct convolution *convolution, enum engine_winograd wish) {
    const struct convolution *c = convolution;
    const struct winograd_kernels *best = NULL;
    for (int i = 0; i < WINOGRAD_FORMS && wish != WINOGRAD_OFF; i++) {
        const struct winograd_kernels *form = &c->kernels->winograd[i];
        /* Where two save as much the smaller tile errs less, and has fewer weights to transform. */
        if (can_be(c, form) && is_wished(form, wish) &&
            (best == NULL || saving(c, form) > saving(c, best))) {
            best = form;
        }
    }
    return best != NULL && (wish != WINOGRAD_ON || is_worth(c, best)) ? best : NULL;
}

void winograd_pixels(const float **address, ptrdiff_t *row_stride, const struct tensor *tensor,
    int picture, int block, int row, int column, int size, float *room) {
    const struct tensor *t = tensor;
    if (row >= -t->border_height && row + size <= t->shape.height + t->border_height &&
        column >= -t->border_width && column + size <= t->shape.width + t->border_width) {
        *address = tensor_at(t, picture, block, row, column);
        *row_stride = t->row_stride;
        return;
    }
    int first = column < 0 ? -column : 0;
    int past = t->shape.width - column < size ? t->shape.width - column : size;
    memset(room, 0, (size_t)(size * size) * CHANNEL_BLOCK * sizeof(float));
    for (int i = 0; i < size; i++) {
        if (row + i >= 0 && row + i < t->shape.height && first < past) {
            memcpy(room + (i * size + first) * CHANNEL_BLOCK,
                tensor_at(t, picture, block, row + i, column + first),
                (size_t)(past - first) * CHANNEL_BLOCK * sizeof(float));
        }
    }
    *address = room;
    *row_stride = (ptrdiff_t)size * CHANNEL_BLOCK;
}

size_t winograd_scratch(struct convolution *convolution) {
    size_t maps = winograd_maps_scratch(convolution);
    size_t weights = winograd_weights_scratch(convolution);
    return maps > weights ? maps : weights;
}
