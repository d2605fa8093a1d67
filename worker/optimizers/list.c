#include "worker/optimizer.h"

extern const struct optimizer_operations optimizer_sgd;

const struct kind *const optimizers[] = {&optimizer_sgd.kind, NULL};
