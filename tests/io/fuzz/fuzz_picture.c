#include "io/fuzz/target.h"

#include "io/picture.h"

#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define PIXELS_LIMIT (1 << 20) /* larger ones are right, but slow */

static void decode(const uint8_t *data, size_t size) {
    int channels, height, width;
    if (picture_measure(&channels, &height, &width, data, size) != STATUS_OK ||
        (int64_t)height * width > PIXELS_LIMIT) {
        return;
    }
    struct picture picture;
    static const int wanted[] = {0, 1, 3};
    status result = picture_decode(&picture, data, size, wanted[size % 3]);
    if (result == STATUS_OK &&
        (picture.height != height || picture.width != width ||
            picture.channels != (size % 3 > 0 ? wanted[size % 3] : channels))) {
        abort();
    }
    if (result != STATUS_OK && picture.pixels != NULL) {
        abort();
    }
    picture_release(&picture);
}

/* Sets the checksum of every whole chunk right, or no change would get past them. */
static void repair_png(uint8_t *data, size_t size) {
    for (size_t i = 8; i + 12 <= size;) {
        const size_t length = (size_t)data[i] << 24 | (size_t)data[i + 1] << 16 |
                              (size_t)data[i + 2] << 8 | data[i + 3];
        if (length > size - i - 12) {
            return;
        }
        const uLong sum = crc32(0, data + i + 4, (uInt)length + 4);
        for (int byte = 0; byte < 4; byte++) {
            data[i + 8 + length + (size_t)byte] = (uint8_t)(sum >> (24 - 8 * byte));
        }
        i += 12 + length;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    decode(data, size);
    if (picture_detect(data, size) == PICTURE_PNG) {
        uint8_t *repaired = malloc(size);
        if (repaired == NULL) {
            abort();
        }
        memcpy(repaired, data, size);
        repair_png(repaired, size);
        decode(repaired, size);
        free(repaired);
    }
    return 0;
}
