/* flip: left becomes right, by chance. */
#include "shard/transform.h"

struct flip_options {
    int on;
    double probability;
};

static const struct option flip_table[] = {TRANSFORM_ON(struct flip_options, "training"),
    {"probability", OPTION_REAL, offsetof(struct flip_options, probability), .initial = "0.5",
        .low = 0, .high = 1, .flags = OPTION_CHANGES_BITS, .help = "of a flip"},
    OPTIONS_END};

static status flip_plan(struct shape *output, struct shape input, const void *options) {
    (void)options;
    *output = input;
    return STATUS_OK;
}

static void flip_apply(
    struct transform_picture *picture, const void *options, const struct random_place *place) {
    const struct flip_options *values = options;
    uint32_t words[4];
    random_block(words, place, 0);
    if ((double)random_uniform(words[0]) >= values->probability) {
        return;
    }
    size_t channels = (size_t)picture->shape.channels;
    for (int y = 0; y < picture->shape.height; y++) {
        float *left = picture->pixels + (size_t)y * (size_t)picture->shape.width * channels;
        float *right = left + (size_t)(picture->shape.width - 1) * channels;
        for (; left < right; left += channels, right -= channels) {
            for (size_t c = 0; c < channels; c++) {
                float swap = left[c];
                left[c] = right[c];
                right[c] = swap;
            }
        }
    }
}

const struct transform_operations transform_flip = {
    .kind = {"flip", "mirrors left and right at random", flip_table, sizeof(struct flip_options)},
    .plan = flip_plan,
    .apply = flip_apply,
};
