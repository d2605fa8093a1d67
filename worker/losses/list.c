#include "worker/loss.h"

extern const struct loss_operations loss_cross_entropy;

const struct kind *const losses[] = {&loss_cross_entropy.kind, NULL};
