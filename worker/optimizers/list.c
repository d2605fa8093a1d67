#include "worker/optimizer.h"

const struct kind *const optimizers[] = {NULL};
