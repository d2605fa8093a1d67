#include "worker/layer.h"

#define LAYERS(LAYER)                                                                              \
    LAYER(layer_conv)                                                                              \
    LAYER(layer_conv_transpose)                                                                    \
    LAYER(layer_linear)                                                                            \
    LAYER(layer_maxpool)                                                                           \
    LAYER(layer_avgpool)                                                                           \
    LAYER(layer_lrn)                                                                               \
    LAYER(layer_batchnorm)                                                                         \
    LAYER(layer_relu)                                                                              \
    LAYER(layer_leaky_relu)                                                                        \
    LAYER(layer_prelu)                                                                             \
    LAYER(layer_rrelu)                                                                             \
    LAYER(layer_elu)                                                                               \
    LAYER(layer_softplus)                                                                          \
    LAYER(layer_tanh)                                                                              \
    LAYER(layer_lecun_tanh)                                                                        \
    LAYER(layer_sigmoid)                                                                           \
    LAYER(layer_softmax)                                                                           \
    LAYER(layer_dropout)                                                                           \
    LAYER(layer_flatten)                                                                           \
    LAYER(layer_rbf)                                                                               \
    LAYER(layer_scale)                                                                             \
    LAYER(layer_pad_channels)                                                                      \
    LAYER(container_subsample)                                                                     \
    LAYER(container_residual)                                                                      \
    LAYER(container_branches)                                                                      \
    LAYER(container_auxiliary)                                                                     \
    LAYER(container_repeat)                                                                        \
    LAYER(container_bottleneck)                                                                    \
    LAYER(container_basic_block)                                                                   \
    LAYER(container_basic_conv)                                                                    \
    LAYER(container_inception)                                                                     \
    LAYER(container_inception_bn)                                                                  \
    LAYER(container_inception_a)                                                                   \
    LAYER(container_inception_b)                                                                   \
    LAYER(container_inception_c)                                                                   \
    LAYER(container_inception_d)                                                                   \
    LAYER(container_inception_e)

#define DECLARE(operations) extern const struct layer_operations operations;
LAYERS(DECLARE)

#define ENTRY(operations) &operations.kind,
const struct kind *const layers[] = {LAYERS(ENTRY) NULL};
