/* center_crop: the middle of the picture. */
#include "shard/resample.h"

struct center_crop_options {
    int on;
    int64_t size[2];
};

static const struct option center_crop_table[] = {TRANSFORM_ON(struct center_crop_options, "both"),
    {"size", OPTION_PAIR, offsetof(struct center_crop_options, size), .low = 1, .high = 16384,
        .flags = OPTION_REQUIRED | OPTION_CHANGES_BITS,
        .help = "height and width, or one for both"},
    OPTIONS_END};

static status center_crop_plan(struct shape *output, struct shape input, const void *options) {
    const struct center_crop_options *values = options;
    *output = (struct shape){input.channels, (int)values->size[0], (int)values->size[1]};
    if (input.height > 0 && (output->height > input.height || output->width > input.width)) {
        FAIL(STATUS_USAGE, "center_crop: %dx%d (height x width) of a picture of %dx%d",
            output->height, output->width, input.height, input.width);
    }
    return STATUS_OK;
}

static void center_crop_apply(
    struct transform_picture *picture, const void *options, const struct random_place *place) {
    (void)place;
    const struct center_crop_options *values = options;
    struct box box = {.height = (int)values->size[0], .width = (int)values->size[1]};
    box.y = (picture->shape.height - box.height) / 2;
    box.x = (picture->shape.width - box.width) / 2;
    resample_cut(picture, box);
}

const struct transform_operations transform_center_crop = {
    .kind = {"center_crop", "cuts the middle out", center_crop_table,
        sizeof(struct center_crop_options)},
    .plan = center_crop_plan,
    .apply = center_crop_apply,
};
