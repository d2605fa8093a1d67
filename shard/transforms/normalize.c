/* normalize: (pixel / 255 - mean) / std, per channel. */
#include "shard/transform.h"

struct normalize_options {
    int on;
    struct option_reals mean, std;
};

static const struct option normalize_table[] = {TRANSFORM_ON(struct normalize_options, "both"),
    {"mean", OPTION_REALS, offsetof(struct normalize_options, mean), .low = -1e6, .high = 1e6,
        .flags = OPTION_REQUIRED | OPTION_CHANGES_BITS,
        .help = "of pixel / 255: one number, or one for each channel"},
    {"std", OPTION_REALS, offsetof(struct normalize_options, std), .low = 1e-6, .high = 1e6,
        .flags = OPTION_REQUIRED | OPTION_CHANGES_BITS,
        .help = "standard deviation of pixel / 255: one number, or one for each channel"},
    OPTIONS_END};

static status normalize_plan(struct shape *output, struct shape input, const void *options) {
    const struct normalize_options *values = options;
    const struct option_reals *lists[] = {&values->mean, &values->std};
    for (int i = 0; i < 2; i++) {
        if (lists[i]->count != 1 && lists[i]->count != input.channels) {
            FAIL(STATUS_USAGE, "normalize: %s has %d numbers, the pictures %d channels",
                i == 0 ? "mean" : "std", lists[i]->count, input.channels);
        }
    }
    *output = input;
    return STATUS_OK;
}

static void normalize_apply(
    struct transform_picture *picture, const void *options, const struct random_place *place) {
    (void)place;
    const struct normalize_options *values = options;
    int channels = picture->shape.channels;
    size_t elements = shape_elements(picture->shape);
    for (int c = 0; c < channels; c++) {
        double mean = values->mean.values[values->mean.count == 1 ? 0 : c];
        double deviation = values->std.values[values->std.count == 1 ? 0 : c];
        float scale = (float)(1 / (255 * deviation)), shift = (float)(mean / deviation);
        for (size_t i = (size_t)c; i < elements; i += (size_t)channels) {
            picture->pixels[i] = picture->pixels[i] * scale - shift;
        }
    }
}

const struct transform_operations transform_normalize = {
    .kind = {"normalize", "(pixel / 255 - mean) / std", normalize_table,
        sizeof(struct normalize_options)},
    .plan = normalize_plan,
    .apply = normalize_apply,
};
