#include "shard/resample.h"

#include <string.h>

/* Weights of the inputs [first, first + count) that make output `index`, of `in` inputs spread over
 * `out` outputs. Their sum is 1. */
struct taps {
    int first, count;
};
static struct taps make_taps(float *weights, int index, int in, int out) {
    double scale = (double)in / out;
    double reach = scale > 1 ? scale : 1; /* half the width of the triangle */
    double centre = (index + 0.5) * scale;
    double low = centre - reach + 0.5, high = centre + reach + 0.5;
    int first = low > 0 ? (int)low : 0;
    int end = high < in ? (int)high : in;
    double sum = 0;
    for (int i = first; i < end; i++) {
        double away = (i + 0.5 - centre) / reach;
        sum += 1 - (away < 0 ? -away : away);
    }
    for (int i = first; i < end; i++) {
        double away = (i + 0.5 - centre) / reach;
        weights[i - first] = (float)((1 - (away < 0 ? -away : away)) / sum);
    }
    return (struct taps){first, end - first};
}

/* Rows of the box become `height` rows in `other`, each as wide as the box. */
static void scale_rows(struct transform_picture *picture, struct box box, int height) {
    size_t channels = (size_t)picture->shape.channels;
    size_t stride = (size_t)picture->shape.width * channels;
    size_t length = (size_t)box.width * channels;
    const float *corner = picture->pixels + (size_t)box.y * stride + (size_t)box.x * channels;
    for (int y = 0; y < height; y++) {
        struct taps taps = make_taps(picture->weights, y, box.height, height);
        float *restrict out = picture->other + (size_t)y * length;
        const float *in = corner + (size_t)taps.first * stride;
        for (size_t i = 0; i < length; i++) {
            out[i] = picture->weights[0] * in[i];
        }
        for (int k = 1; k < taps.count; k++) {
            float weight = picture->weights[k];
            in += stride;
            for (size_t i = 0; i < length; i++) {
                out[i] += weight * in[i];
            }
        }
    }
}

/* Columns of `other` become `width` columns in `pixels`. Column by column: a column's weights are
 * made once, and the few lines of cache it touches in each row serve the next ones. */
static void scale_columns(struct transform_picture *picture, int in_width, int height, int width) {
    size_t channels = (size_t)picture->shape.channels;
    for (int x = 0; x < width; x++) {
        struct taps taps = make_taps(picture->weights, x, in_width, width);
        const float *in = picture->other + (size_t)taps.first * channels;
        float *out = picture->pixels + (size_t)x * channels;
        for (int y = 0; y < height; y++) {
            for (size_t c = 0; c < channels; c++) {
                float sum = picture->weights[0] * in[c];
                for (int k = 1; k < taps.count; k++) {
                    sum += picture->weights[k] * in[(size_t)k * channels + c];
                }
                out[c] = sum;
            }
            in += (size_t)in_width * channels;
            out += (size_t)width * channels;
        }
    }
}

void resample(struct transform_picture *picture, struct box box, int height, int width) {
    scale_rows(picture, box, height);
    scale_columns(picture, box.width, height, width);
    picture->shape.height = height;
    picture->shape.width = width;
}

void resample_cut(struct transform_picture *picture, struct box box) {
    size_t channels = (size_t)picture->shape.channels;
    size_t stride = (size_t)picture->shape.width * channels;
    size_t length = (size_t)box.width * channels;
    const float *in = picture->pixels + (size_t)box.y * stride + (size_t)box.x * channels;
    for (int y = 0; y < box.height; y++) { /* rows only move towards the start */
        memmove(picture->pixels + (size_t)y * length, in + (size_t)y * stride,
            length * sizeof *picture->pixels);
    }
    picture->shape.height = box.height;
    picture->shape.width = box.width;
}
