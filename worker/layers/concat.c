/* Channels of several values one after another. What was made in its place is not copied
 * (worker/storage.h); counts need not be multiples of 16, then lanes move. */
#include "worker/layer.h"

#include <string.h>

static status plan(struct layer *layer, const struct layer_plan *plan) {
    (void)plan;
    struct shape shape = layer->input[0]->shape;
    int channels = 0;
    for (int i = 0; i < layer->inputs; i++) {
        struct shape other = layer->input[i]->shape;
        if (other.height != shape.height || other.width != shape.width) {
            LAYER_FAIL(layer, "branch %d ends in %dx%d pixels, branch 0 in %dx%d", i, other.height,
                other.width, shape.height, shape.width);
        }
        channels += other.channels;
    }
    shape.channels = channels;
    layer->output[0]->shape = shape;
    layer->flags = LAYER_JOINS;
    return STATUS_OK;
}

/* Whether the part lies where it belongs in the whole, from channel `first` on. */
static bool lies_there(const struct tensor *whole, int first, const struct tensor *part) {
    return first % CHANNEL_BLOCK == 0 &&
           part->data == tensor_at(whole, 0, first / CHANNEL_BLOCK, 0, 0);
}

/* Copies `channels` channels, from lane `from` of a source to lane `to` of a target. */
static void copy_channels(const struct tensor *target, int to, const struct tensor *source,
    int from, int channels, int n) {
    struct shape shape = target->shape;
    for (int done = 0; done < channels;) {
        int to_lane = (to + done) % CHANNEL_BLOCK, from_lane = (from + done) % CHANNEL_BLOCK;
        int count = CHANNEL_BLOCK - (to_lane > from_lane ? to_lane : from_lane);
        count = count < channels - done ? count : channels - done;
        for (int h = 0; h < shape.height; h++) {
            float *y = tensor_at(target, n, (to + done) / CHANNEL_BLOCK, h, 0) + to_lane;
            const float *x = tensor_at(source, n, (from + done) / CHANNEL_BLOCK, h, 0) + from_lane;
            if (count == CHANNEL_BLOCK) {
                memcpy(y, x, (size_t)shape.width * CHANNEL_BLOCK * sizeof(float));
                continue;
            }
            for (int w = 0; w < shape.width; w++) {
                memcpy(y + w * CHANNEL_BLOCK, x + w * CHANNEL_BLOCK, (size_t)count * sizeof(float));
            }
        }
        done += count;
    }
}

/* The padding lanes behind the channels [first, first + channels), where these are the last. */
static void clear_padding(const struct tensor *tensor, int first, int channels, int n) {
    int past = first + channels, lane = past % CHANNEL_BLOCK;
    if (past != tensor->shape.channels || lane == 0) {
        return;
    }
    for (int h = 0; h < tensor->shape.height; h++) {
        float *row = tensor_at(tensor, n, past / CHANNEL_BLOCK, h, 0);
        for (int w = 0; w < tensor->shape.width; w++) {
            memset(
                row + w * CHANNEL_BLOCK + lane, 0, (size_t)(CHANNEL_BLOCK - lane) * sizeof(float));
        }
    }
}

static void forward(
    const struct layer *layer, const struct layer_run *run, const struct pass *pass) {
    const struct tensor *out = &layer->output[0]->activation;
#pragma omp parallel for num_threads(run->threads) schedule(static)
    for (int n = 0; n < pass->pictures; n++) {
        for (int i = 0, channel = 0; i < layer->inputs; i++) {
            const struct tensor *in = &layer->input[i]->activation;
            int channels = layer->input[i]->shape.channels;
            if (!lies_there(out, channel, in)) {
                clear_padding(out, channel, channels, n);
                copy_channels(out, channel, in, 0, channels, n);
            }
            channel += channels;
        }
    }
}

static void backward(
    const struct layer *layer, const struct layer_run *run, const struct pass *pass) {
    const struct tensor *out = &layer->output[0]->gradient;
#pragma omp parallel for num_threads(run->threads) schedule(static)
    for (int n = 0; n < pass->pictures; n++) {
        for (int i = 0, channel = 0; i < layer->inputs; i++) {
            const struct tensor *in = &layer->input[i]->gradient;
            int channels = layer->input[i]->shape.channels;
            if (in->data != NULL && !lies_there(out, channel, in)) {
                clear_padding(in, 0, channels, n);
                copy_channels(in, 0, out, channel, channels, n);
            }
            channel += channels;
        }
    }
}

const struct layer_operations layer_concat = {
    .kind = {.name = "concat", .help = "channels of several values one after another"},
    .plan = plan,
    .forward = forward,
    .backward = backward,
};
