#include "worker/kernels/convolution_operand.h"

#include <string.h>

enum convolution_gather convolution_gather_of(const struct convolution *convolution) {
    const struct convolution *c = convolution;
    const struct convolution_axis *h = &c->height, *w = &c->width;
    bool whole = h->kernel == h->input && w->kernel == w->input && h->pad == 0 && w->pad == 0;
    if (whole && h->dilation == 1 && w->dilation == 1) {
        return GATHER_PICTURES;
    }
    if (c->input.channels < CHANNEL_BLOCK && c->shape.groups == 1 && w->kernel > 1 &&
        w->dilation == 1) {
        return GATHER_NARROW;
    }
    bool point = h->kernel == 1 && w->kernel == 1 && h->pad == 0 && w->pad == 0;
    return point && h->stride * w->stride > 1 ? GATHER_STRIDED : GATHER_NONE;
}

/* A copy: which pixels of every block, how many lanes of each, and where they go. */
struct copy {
    int first_row, rows, row_step;
    int first_column, columns, column_step;
    int lanes;
    ptrdiff_t picture, block, row, column;
};

/* One row of one block of one picture. */
static void copy_row(float *out, const struct copy *copy, const float *in) {
    ptrdiff_t step = (ptrdiff_t)copy->column_step * CHANNEL_BLOCK;
    if (copy->lanes == CHANNEL_BLOCK) {
        for (int i = 0; i < copy->columns; i++, in += step, out += copy->column) {
            memcpy(out, in, CHANNEL_BLOCK * sizeof(float));
        }
        return;
    }
    for (int i = 0; i < copy->columns; i++, in += step, out += copy->column) {
        for (int l = 0; l < copy->lanes; l++) {
            out[l] = in[l];
        }
    }
}

static void copy_share(float *out, const struct copy *copy, const struct tensor *tensor,
    int pictures, int thread, int threads) {
    int blocks = shape_blocks(tensor->shape.channels);
    int64_t total = (int64_t)pictures * blocks * copy->rows;
    int64_t past = total * (thread + 1) / threads;
    for (int64_t number = total * thread / threads; number < past; number++) {
        int row = (int)(number % copy->rows), block = (int)(number / copy->rows % blocks);
        int picture = (int)(number / copy->rows / blocks);
        copy_row(out + picture * copy->picture + block * copy->block + row * copy->row, copy,
            tensor_at(tensor, picture, block, copy->first_row + row * copy->row_step,
                copy->first_column));
    }
}

/* Of the gathered inputs, for `pictures` pictures. Strides are made from the innermost outwards. */
static struct copy input_copy(const struct convolution *c, int pictures) {
    const struct convolution_axis *h = &c->height, *w = &c->width;
    struct copy copy = {.row_step = 1, .column_step = 1, .lanes = CHANNEL_BLOCK};
    copy.rows = h->input;
    copy.columns = w->input;
    copy.column = CHANNEL_BLOCK;
    if (c->gather == GATHER_NARROW) {
        copy.first_row = -h->pad;
        copy.first_column = -w->pad;
        copy.rows += 2 * h->pad;
        copy.columns += 2 * w->pad;
        copy.lanes = c->input.channels;
        copy.column = c->input.channels;
    } else if (c->gather == GATHER_STRIDED) {
        copy.row_step = h->stride;
        copy.column_step = w->stride;
        copy.rows = h->output;
        copy.columns = w->output;
    } else if (c->gather == GATHER_PICTURES) {
        copy.picture = CHANNEL_BLOCK;
        copy.column = (ptrdiff_t)pictures * CHANNEL_BLOCK;
    }
    copy.row = copy.columns * copy.column;
    copy.block = copy.rows * copy.row;
    if (copy.picture == 0) {
        copy.picture = shape_blocks(c->input.channels) * copy.block;
    }
    return copy;
}

size_t operand_input_bytes(const struct convolution *convolution) {
    const struct convolution *c = convolution;
    if (c->gather == GATHER_NONE) {
        return 0;
    }
    struct copy copy = input_copy(c, c->pictures);
    size_t block = (size_t)copy.rows * (size_t)copy.columns * (size_t)copy.lanes;
    return convolution_align(
        (size_t)c->pictures * (size_t)shape_blocks(c->input.channels) * block * sizeof(float));
}

size_t operand_gradient_bytes(const struct convolution *convolution) {
    const struct convolution *c = convolution;
    return c->gather != GATHER_PICTURES
               ? 0
               : convolution_align((size_t)c->pictures * (size_t)shape_blocks(c->output.channels) *
                                   CHANNEL_BLOCK * sizeof(float));
}

void operand_input(struct operand *operand, void *memory, const struct tensor *input, int pictures,
    const struct convolution *convolution, int thread, int threads) {
    const struct convolution *c = convolution;
    const struct convolution_axis *h = &c->height, *w = &c->width;
    if (c->gather == GATHER_NONE) {
        *operand = (struct operand){
            .data = tensor_at(input, 0, 0, -h->pad, -w->pad),
            .picture = input->picture_stride,
            .block = input->block_stride,
            .tap_row = h->dilation * input->row_stride,
            .tap_column = (ptrdiff_t)w->dilation * CHANNEL_BLOCK,
            .row = h->stride * input->row_stride,
            .column = (ptrdiff_t)w->stride * CHANNEL_BLOCK,
        };
        return;
    }
    struct copy copy = input_copy(c, pictures);
    bool strided = c->gather == GATHER_STRIDED;
    *operand = (struct operand){
        .data = memory,
        .picture = copy.picture,
        .block = copy.block,
        .tap_row = h->dilation * copy.row,
        .tap_column = w->dilation * copy.column,
        .row = strided ? copy.row : h->stride * copy.row,
        .column = strided ? copy.column : w->stride * copy.column,
    };
    copy_share(memory, &copy, input, pictures, thread, threads);
}

void operand_gradient(struct operand *operand, void *memory, const struct tensor *gradient,
    int pictures, const struct convolution *convolution, int thread, int threads) {
    if (convolution->gather != GATHER_PICTURES) {
        *operand = (struct operand){
            .data = tensor_at(gradient, 0, 0, 0, 0),
            .picture = gradient->picture_stride,
            .block = gradient->block_stride,
            .row = gradient->row_stride,
            .column = CHANNEL_BLOCK,
        };
        return;
    }
    ptrdiff_t block = (ptrdiff_t)pictures * CHANNEL_BLOCK;
    const struct copy copy = {.rows = 1,
        .row_step = 1,
        .columns = 1,
        .column_step = 1,
        .lanes = CHANNEL_BLOCK,
        .picture = CHANNEL_BLOCK,
        .block = block,
        .row = block,
        .column = block};
    *operand = (struct operand){
        .data = memory, .picture = CHANNEL_BLOCK, .block = block, .row = block, .column = block};
    copy_share(memory, &copy, gradient, pictures, thread, threads);
}
