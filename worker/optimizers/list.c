#include "worker/optimizer.h"

#define OPTIMIZERS(OPTIMIZER)                                                                      \
    OPTIMIZER(optimizer_sgd)                                                                       \
    OPTIMIZER(optimizer_rmsprop)                                                                   \
    OPTIMIZER(optimizer_adamw)                                                                     \
    OPTIMIZER(optimizer_lars)                                                                      \
    OPTIMIZER(optimizer_lamb)

#define DECLARE(operations) extern const struct optimizer_operations operations;
OPTIMIZERS(DECLARE)

#define ENTRY(operations) &operations.kind,
const struct kind *const optimizers[] = {OPTIMIZERS(ENTRY) NULL};
