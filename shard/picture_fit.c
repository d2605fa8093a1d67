#include "shard/picture_fit.h"

#include "base/memory.h"
#include "shard/resample.h"

#include <stdlib.h>

static int between(int64_t value, int high) {
    return value < 1 ? 1 : value > high ? high : (int)value;
}

/* a * b / c, rounded. */
static int64_t share(int64_t a, int64_t b, int64_t c) {
    return (2 * a * b + c) / (2 * c);
}

static int larger(int a, int b) {
    return a > b ? a : b;
}

static status prepare(
    struct transform_picture *work, const struct picture *in, int height, int width) {
    *work = (struct transform_picture){.shape = {in->channels, in->height, in->width}};
    size_t rows = (size_t)larger(height, in->height), columns = (size_t)larger(width, in->width);
    if (rows > PICTURE_LIMIT / columns) {
        FAIL(STATUS_INPUT, "a picture of %dx%d to %dx%d needs more than %zu pixels on its way",
            in->width, in->height, width, height, PICTURE_LIMIT);
    }
    size_t room = rows * columns * (size_t)in->channels;
    TRY(MEMORY_ALLOCATE(&work->pixels, room));
    TRY(MEMORY_ALLOCATE(&work->other, room));
    TRY(MEMORY_ALLOCATE(&work->weights, rows > columns ? rows : columns));
    for (size_t i = 0; i < shape_elements(work->shape); i++) {
        work->pixels[i] = (float)in->pixels[i];
    }
    return STATUS_OK;
}

/* The resampled picture into the middle of `out`. Weights are no less than 0 and sum to 1, so that
 * values stay within 0 and 255 but for rounding. */
static void place(struct picture *out, const struct transform_picture *work) {
    int top = (out->height - work->shape.height) / 2, left = (out->width - work->shape.width) / 2;
    size_t length = (size_t)work->shape.width * (size_t)out->channels;
    for (int y = 0; y < work->shape.height; y++) {
        const float *from = work->pixels + (size_t)y * length;
        uint8_t *to = out->pixels + ((size_t)(top + y) * (size_t)out->width + (size_t)left) *
                                        (size_t)out->channels;
        for (size_t i = 0; i < length; i++) {
            int value = (int)(from[i] + 0.5f);
            to[i] = (uint8_t)(value > 255 ? 255 : value);
        }
    }
}

status picture_fit(
    struct picture *out, const struct picture *in, int height, int width, enum picture_fit fit) {
    struct transform_picture work = {0};
    struct box box = {0, 0, in->height, in->width};
    int inner_height = height, inner_width = width;
    if (fit == PICTURE_FIT_CROP) {
        box.height = between(share(in->width, height, width), in->height);
        box.width = between(share(in->height, width, height), in->width);
        box.y = (in->height - box.height) / 2;
        box.x = (in->width - box.width) / 2;
    } else if (fit == PICTURE_FIT_PAD) {
        inner_height = between(share(width, in->height, in->width), height);
        inner_width = between(share(height, in->width, in->height), width);
    }
    *out = (struct picture){in->channels, height, width, NULL};
    status result;
    TRY_TO(done, result, prepare(&work, in, height, width));
    TRY_TO(done, result,
        memory_allocate(
            (void **)&out->pixels, (size_t)height * (size_t)width, (size_t)in->channels));
    resample(&work, box, inner_height, inner_width);
    place(out, &work);
done:
    free(work.pixels);
    free(work.other);
    free(work.weights);
    return result;
}
