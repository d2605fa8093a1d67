#include "base/shape.h"

#include <stdint.h>
#include <stdio.h>

bool shape_equal(struct shape a, struct shape b) {
    return a.channels == b.channels && a.height == b.height && a.width == b.width;
}

bool shape_fits(struct shape shape) {
    if (shape.channels < 1 || shape.height < 1 || shape.width < 1) {
        return false;
    }
    int64_t lanes = ((int64_t)shape.channels + CHANNEL_BLOCK - 1) / CHANNEL_BLOCK * CHANNEL_BLOCK;
    return lanes * shape.height <= INT32_MAX / shape.width;
}

size_t shape_elements(struct shape shape) {
    return (size_t)shape.channels * (size_t)shape.height * (size_t)shape.width;
}

int shape_blocks(int channels) {
    return (channels + CHANNEL_BLOCK - 1) / CHANNEL_BLOCK;
}

const char *shape_text(struct shape shape, char *text, size_t size) {
    snprintf(text, size, "%dx%dx%d", shape.channels, shape.height, shape.width);
    return text;
}
