/* Flatten: channels x height x width becomes a vector of channels, in that order. */
#include "worker/layers/activation.h"

#include <string.h>

static status plan(struct layer *layer, const struct layer_plan *plan) {
    (void)plan;
    struct shape input = layer->input[0]->shape;
    layer->output[0]->shape = (struct shape){(int)shape_elements(input), 1, 1};
    return STATUS_OK;
}

/* Between a picture of blocks and the same as one vector. */
static void copy_picture(
    const struct tensor *vector, const struct tensor *picture, int n, bool to_vector) {
    struct shape shape = picture->shape;
    int element = 0;
    for (int c = 0; c < shape.channels; c++) {
        for (int h = 0; h < shape.height; h++) {
            float *row = tensor_at(picture, n, c / CHANNEL_BLOCK, h, 0) + c % CHANNEL_BLOCK;
            for (int w = 0; w < shape.width; w++, element++) {
                float *flat =
                    tensor_at(vector, n, element / CHANNEL_BLOCK, 0, 0) + element % CHANNEL_BLOCK;
                if (to_vector) {
                    *flat = row[w * CHANNEL_BLOCK];
                } else {
                    row[w * CHANNEL_BLOCK] = *flat;
                }
            }
        }
    }
}

static void forward(
    const struct layer *layer, const struct layer_run *run, const struct pass *pass) {
    const struct tensor *out = &layer->output[0]->activation, *in = &layer->input[0]->activation;
    int last = shape_blocks(out->shape.channels) - 1;
#pragma omp parallel for num_threads(run->threads) schedule(static)
    for (int n = 0; n < pass->pictures; n++) {
        memset(tensor_at(out, n, last, 0, 0), 0, CHANNEL_BLOCK * sizeof(float));
        copy_picture(out, in, n, true);
    }
}

static void backward(
    const struct layer *layer, const struct layer_run *run, const struct pass *pass) {
    const struct tensor *in = &layer->input[0]->gradient, *out = &layer->output[0]->gradient;
    if (in->data == NULL) {
        return;
    }
    int last = shape_blocks(in->shape.channels) - 1;
#pragma omp parallel for num_threads(run->threads) schedule(static)
    for (int n = 0; n < pass->pictures; n++) {
        for (int h = 0; h < in->shape.height; h++) {
            memset(tensor_at(in, n, last, h, 0), 0,
                (size_t)in->shape.width * CHANNEL_BLOCK * sizeof(float));
        }
        copy_picture(out, in, n, false);
    }
}

const struct layer_operations layer_flatten = {
    .kind = PLAIN_KIND("flatten", "a vector of all elements, in the order channel, row, column"),
    .plan = plan,
    .forward = forward,
    .backward = backward,
};
