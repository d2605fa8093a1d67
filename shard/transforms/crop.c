/* crop: a window at a random place of the picture, which may first get a black border (He et al.
 * 2015 train on CIFAR-10 with a padding of 4). */
#include "shard/resample.h"

#include <string.h>

struct crop_options {
    int on;
    int64_t size[2], padding[2];
};

static const struct option crop_table[] = {TRANSFORM_ON(struct crop_options, "training"),
    {"size", OPTION_PAIR, offsetof(struct crop_options, size), .low = 1, .high = 16384,
        .flags = OPTION_REQUIRED | OPTION_CHANGES_BITS,
        .help = "height and width, or one for both"},
    {"padding", OPTION_PAIR, offsetof(struct crop_options, padding), .initial = "0", .low = 0,
        .high = 4096, .flags = OPTION_CHANGES_BITS,
        .help = "zeros put above and below, left and right, or one for both"},
    OPTIONS_END};

static status crop_plan(struct shape *output, struct shape input, const void *options) {
    const struct crop_options *values = options;
    *output = (struct shape){input.channels, (int)values->size[0], (int)values->size[1]};
    if (input.height > 0 && (output->height > input.height + 2 * values->padding[0] ||
                                output->width > input.width + 2 * values->padding[1])) {
        FAIL(STATUS_USAGE, "crop: %dx%d (height x width) of a picture of %dx%d padded by %dx%d",
            output->height, output->width, input.height, input.width, (int)values->padding[0],
            (int)values->padding[1]);
    }
    return STATUS_OK;
}

/* The window at (y, x), which may reach outside of the picture, into `other`. */
static void cut_padded(struct transform_picture *picture, int y, int x, int height, int width) {
    size_t channels = (size_t)picture->shape.channels;
    int left = x < 0 ? -x : 0;
    int right = x + width > picture->shape.width ? picture->shape.width - x : width;
    memset(picture->other, 0, (size_t)height * (size_t)width * channels * sizeof *picture->other);
    for (int row = 0; row < height; row++) {
        if (y + row >= 0 && y + row < picture->shape.height && left < right) {
            size_t from = (size_t)(y + row) * (size_t)picture->shape.width + (size_t)(x + left);
            size_t to = (size_t)row * (size_t)width + (size_t)left;
            memcpy(picture->other + to * channels, picture->pixels + from * channels,
                (size_t)(right - left) * channels * sizeof *picture->other);
        }
    }
}

static void crop_apply(
    struct transform_picture *picture, const void *options, const struct random_place *place) {
    const struct crop_options *values = options;
    int height = (int)values->size[0], width = (int)values->size[1];
    int above = (int)values->padding[0], before = (int)values->padding[1];
    uint32_t words[4];
    random_block(words, place, 0);
    uint32_t rows = (uint32_t)(picture->shape.height + 2 * above - height + 1);
    uint32_t columns = (uint32_t)(picture->shape.width + 2 * before - width + 1);
    int y = (int)random_below(words[0], rows) - above;
    int x = (int)random_below(words[1], columns) - before;
    cut_padded(picture, y, x, height, width);
    float *swap = picture->pixels;
    picture->pixels = picture->other;
    picture->other = swap;
    picture->shape.height = height;
    picture->shape.width = width;
}

const struct transform_operations transform_crop = {
    .kind = {"crop", "cuts a window at a random place, after padding with zeros", crop_table,
        sizeof(struct crop_options)},
    .plan = crop_plan,
    .apply = crop_apply,
};
