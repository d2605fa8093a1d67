#include "reference/reference.h"

#define REFERENCES(REFERENCE)                                                                      \
    REFERENCE(conv)                                                                                \
    REFERENCE(conv_transpose)                                                                      \
    REFERENCE(linear)                                                                              \
    REFERENCE(maxpool)                                                                             \
    REFERENCE(avgpool)                                                                             \
    REFERENCE(lrn)                                                                                 \
    REFERENCE(batchnorm)                                                                           \
    REFERENCE(relu)                                                                                \
    REFERENCE(leaky_relu)                                                                          \
    REFERENCE(prelu)                                                                               \
    REFERENCE(rrelu)                                                                               \
    REFERENCE(elu)                                                                                 \
    REFERENCE(softplus)                                                                            \
    REFERENCE(scale)                                                                               \
    REFERENCE(pad_channels)                                                                        \
    REFERENCE(tanh)                                                                                \
    REFERENCE(lecun_tanh)                                                                          \
    REFERENCE(rbf)                                                                                 \
    REFERENCE(sigmoid)                                                                             \
    REFERENCE(softmax)                                                                             \
    REFERENCE(dropout)                                                                             \
    REFERENCE(flatten)                                                                             \
    REFERENCE(fork)                                                                                \
    REFERENCE(add)                                                                                 \
    REFERENCE(concat)

#define DECLARE(name) extern const struct reference reference_##name;
REFERENCES(DECLARE)

#define ENTRY(name) &reference_##name,
const struct reference *const references[] = {REFERENCES(ENTRY) NULL};
