#include "shard/transform.h"

const struct kind *const transforms[] = {NULL};
