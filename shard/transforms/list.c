#include "shard/transform.h"

extern const struct transform_operations transform_normalize, transform_resize,
    transform_center_crop, transform_crop, transform_resized_crop, transform_flip;

const struct kind *const transforms[] = {
    &transform_normalize.kind,
    &transform_resize.kind,
    &transform_center_crop.kind,
    &transform_crop.kind,
    &transform_resized_crop.kind,
    &transform_flip.kind,
    NULL,
};
