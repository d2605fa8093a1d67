/* resize: the whole picture scaled, to a given size or to a given short side. */
#include "shard/resample.h"

struct resize_options {
    int on;
    struct option_reals size;
};

static const struct option resize_table[] = {TRANSFORM_ON(struct resize_options, "both"),
    {"size", OPTION_REALS, offsetof(struct resize_options, size), .low = 1, .high = 16384,
        .flags = OPTION_REQUIRED | OPTION_CHANGES_BITS,
        .help = "one number: the short side, the other keeps the aspect; or [height, width]"},
    OPTIONS_END};

/* The long side is cut to a whole number, as torchvision does. */
static status resize_plan(struct shape *output, struct shape input, const void *options) {
    const struct resize_options *values = options;
    for (int i = 0; i < values->size.count; i++) {
        if (values->size.values[i] != (int)values->size.values[i]) {
            FAIL(STATUS_USAGE, "resize: size: %g is no whole number", values->size.values[i]);
        }
    }
    *output = input;
    if (values->size.count == 2) {
        output->height = (int)values->size.values[0];
        output->width = (int)values->size.values[1];
        return STATUS_OK;
    }
    if (values->size.count != 1) {
        FAIL(STATUS_USAGE, "resize: size has %d numbers, must be one or [height, width]",
            values->size.count);
    }
    if (input.height == 0) {
        return STATUS_OK;
    }
    int64_t side = (int64_t)values->size.values[0];
    bool upright = input.height >= input.width;
    int64_t length =
        upright ? side * input.height / input.width : side * input.width / input.height;
    if ((size_t)(side * length) > PICTURE_LIMIT) {
        FAIL(STATUS_USAGE, "resize: a picture of %dx%d would become one of more than %zu pixels",
            input.width, input.height, PICTURE_LIMIT);
    }
    output->height = (int)(upright ? length : side);
    output->width = (int)(upright ? side : length);
    return STATUS_OK;
}

static void resize_apply(
    struct transform_picture *picture, const void *options, const struct random_place *place) {
    (void)place;
    struct shape output, input = picture->shape;
    if (resize_plan(&output, input, options) == STATUS_OK) { /* it was planned before */
        resample(
            picture, (struct box){0, 0, input.height, input.width}, output.height, output.width);
    }
}

const struct transform_operations transform_resize = {
    .kind = {"resize", "scales the picture (bilinear, antialiased)", resize_table,
        sizeof(struct resize_options)},
    .plan = resize_plan,
    .apply = resize_apply,
};
