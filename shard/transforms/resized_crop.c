/* resized_crop: a window of random area and aspect, scaled to one size (Szegedy et al., "Going
 * deeper with convolutions", 2015; the details are torchvision's RandomResizedCrop). */
#include "shard/resample.h"

#include "base/math.h"

#include <math.h>

#define ATTEMPTS 10

struct resized_crop_options {
    int on;
    int64_t size[2];
    struct option_reals area, aspect;
};

static const struct option resized_crop_table[] = {
    TRANSFORM_ON(struct resized_crop_options, "training"),
    {"size", OPTION_PAIR, offsetof(struct resized_crop_options, size), .low = 1, .high = 16384,
        .flags = OPTION_REQUIRED | OPTION_CHANGES_BITS,
        .help = "height and width, or one for both"},
    {"area", OPTION_REALS, offsetof(struct resized_crop_options, area), .initial = "[0.08, 1]",
        .low = 1e-6, .high = 1, .flags = OPTION_CHANGES_BITS,
        .help = "least and largest share of the picture's area"},
    {"aspect", OPTION_REALS, offsetof(struct resized_crop_options, aspect),
        .initial = "[0.75, 1.3333333333333333]", .low = 0.01, .high = 100,
        .flags = OPTION_CHANGES_BITS, .help = "least and largest width / height"},
    OPTIONS_END};

static status check_range(const struct option_reals *range, const char *name) {
    if (range->count != 2 || range->values[0] > range->values[1]) {
        FAIL(STATUS_USAGE, "resized_crop: %s must be two numbers, the smaller one first", name);
    }
    return STATUS_OK;
}

static status resized_crop_plan(struct shape *output, struct shape input, const void *options) {
    const struct resized_crop_options *values = options;
    TRY(check_range(&values->area, "area"));
    TRY(check_range(&values->aspect, "aspect"));
    *output = (struct shape){input.channels, (int)values->size[0], (int)values->size[1]};
    return STATUS_OK;
}

static double between(const double *range, uint32_t bits) {
    return range[0] + (double)random_uniform(bits) * (range[1] - range[0]);
}

/* Where no attempt fitted: the largest window in the middle with an aspect in the range. */
static struct box central(struct shape shape, const double *aspect) {
    struct box box = {.height = shape.height, .width = shape.width};
    double own = (double)shape.width / shape.height;
    if (own < aspect[0]) {
        box.height = (int)(shape.width / aspect[0] + 0.5);
    } else if (own > aspect[1]) {
        box.width = (int)(shape.height * aspect[1] + 0.5);
    }
    box.height = box.height < 1 ? 1 : box.height > shape.height ? shape.height : box.height;
    box.width = box.width < 1 ? 1 : box.width > shape.width ? shape.width : box.width;
    box.y = (shape.height - box.height) / 2;
    box.x = (shape.width - box.width) / 2;
    return box;
}

static struct box choose(struct shape shape, const struct resized_crop_options *values,
    const struct random_place *place) {
    const double *aspect = values->aspect.values;
    double logarithms[2] = {math_log(aspect[0]), math_log(aspect[1])};
    double whole = (double)shape.height * shape.width;
    for (uint32_t attempt = 0; attempt < ATTEMPTS; attempt++) {
        uint32_t words[4];
        random_block(words, place, attempt);
        double area = whole * between(values->area.values, words[0]);
        double ratio = math_exp(between(logarithms, words[1]));
        double width = sqrt(area * ratio) + 0.5, height = sqrt(area / ratio) + 0.5;
        if (width >= 1 && width < shape.width + 1.0 && height >= 1 && height < shape.height + 1.0) {
            struct box box = {.height = (int)height, .width = (int)width};
            box.y = (int)random_below(words[2], (uint32_t)(shape.height - box.height + 1));
            box.x = (int)random_below(words[3], (uint32_t)(shape.width - box.width + 1));
            return box;
        }
    }
    return central(shape, aspect);
}

static void resized_crop_apply(
    struct transform_picture *picture, const void *options, const struct random_place *place) {
    const struct resized_crop_options *values = options;
    resample(
        picture, choose(picture->shape, values, place), (int)values->size[0], (int)values->size[1]);
}

const struct transform_operations transform_resized_crop = {
    .kind = {"resized_crop", "cuts a window of random area and aspect and scales it",
        resized_crop_table, sizeof(struct resized_crop_options)},
    .plan = resized_crop_plan,
    .apply = resized_crop_apply,
};
