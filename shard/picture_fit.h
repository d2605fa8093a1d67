/* Pictures brought to one size at import. */
#ifndef SHARD_PICTURE_FIT_H
#define SHARD_PICTURE_FIT_H

#include "io/picture.h"

enum picture_fit {
    PICTURE_FIT_CROP,    /* fills the size; what is too much is cut off on both sides */
    PICTURE_FIT_PAD,     /* all of the picture, in the middle of black */
    PICTURE_FIT_STRETCH, /* all of the picture, its aspect lost */
};

/* Makes `out` (freed by picture_release) from `in`, by shard/resample.h. */
status picture_fit(
    struct picture *out, const struct picture *in, int height, int width, enum picture_fit fit);

#endif
