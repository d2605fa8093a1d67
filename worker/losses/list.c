#include "worker/loss.h"

#define LOSSES(LOSS)                                                                               \
    LOSS(loss_cross_entropy)                                                                       \
    LOSS(loss_mean_squared_error)                                                                  \
    LOSS(loss_hinge)                                                                               \
    LOSS(loss_lenet5)

#define DECLARE(operations) extern const struct loss_operations operations;
LOSSES(DECLARE)

#define ENTRY(operations) &operations.kind,
const struct kind *const losses[] = {LOSSES(ENTRY) NULL};
