/* Small models that use everything. */
#ifndef TESTS_WORKER_SUPPORT_MODELS_H
#define TESTS_WORKER_SUPPORT_MODELS_H

/* After LeNet-5. */
#define MODEL_LENET                                                                                \
    "input: {channels: 1, height: 14, width: 15}\n"                                                \
    "layers:\n"                                                                                    \
    "  - conv: {out: 6, kernel: 5, pad: 2}\n"                                                      \
    "  - relu:\n"                                                                                  \
    "  - maxpool: {kernel: 2}\n"                                                                   \
    "  - conv: {out: 19, kernel: 3}\n"                                                             \
    "  - tanh:\n"                                                                                  \
    "  - avgpool: {kernel: 2}\n"                                                                   \
    "  - flatten:\n"                                                                               \
    "  - linear: {out: 20}\n"                                                                      \
    "  - sigmoid:\n"                                                                               \
    "  - dropout: 0.4\n"                                                                           \
    "  - linear: {out: 10}\n"

/* Batch norm, residuals with and without projection, branches, an auxiliary head. */
#define MODEL_RESIDUAL                                                                             \
    "input: {channels: 3, height: 9, width: 8}\n"                                                  \
    "layers:\n"                                                                                    \
    "  - conv: {out: 10, kernel: 3, pad: 1, bias: false, name: conv1}\n"                           \
    "  - batchnorm: {name: bn1}\n"                                                                 \
    "  - relu:\n"                                                                                  \
    "  - basic_block: {width: 10, repeat: 2, name: layer1}\n"                                      \
    "  - basic_block: {width: 18, stride: 2, name: layer2}\n"                                      \
    "  - residual: {body: [{conv: {out: 18, kernel: 1}}, {relu: {}}]}\n"                           \
    "  - auxiliary: {weight: 0.3, layers: [{conv: {out: 5, kernel: 1}}, {relu: {}}, {linear: "     \
    "{out: 7}}]}\n"                                                                                \
    "  - branches: [[{conv: {out: 5, kernel: 1}}], [{maxpool: {kernel: 3, stride: 1, pad: 1}}]]\n" \
    "  - bottleneck: {width: 8, name: layer3}\n"                                                   \
    "  - inception: {ones: 4, threes: [3, 6], fives: [2, 3], pool: 5, norm: true}\n"               \
    "  - dropout: 0.2\n"                                                                           \
    "  - avgpool: {global: true}\n"                                                                \
    "  - linear: {out: 7, name: fc}\n"

/* The layers that the other two do not have. */
#define MODEL_LAYERS                                                                               \
    "input: {channels: 3, height: 9, width: 8}\n"                                                  \
    "layers:\n"                                                                                    \
    "  - conv: {out: 19, kernel: 3, pad: 1}\n"                                                     \
    "  - prelu:\n"                                                                                 \
    "  - lrn: {alpha: 0.5}\n"                                                                      \
    "  - maxpool: {kernel: 3, stride: 2, ceil: true}\n"                                            \
    "  - conv: {out: 21, kernel: 3, pad: 1}\n"                                                     \
    "  - elu: 0.7\n"                                                                               \
    "  - lrn: {size: 3, alpha: 0.8, beta: 0.6, within: true}\n"                                    \
    "  - subsample:\n"                                                                             \
    "  - rrelu:\n"                                                                                 \
    "  - prelu: {shared: true}\n"                                                                  \
    "  - avgpool: {adaptive: [3, 1]}\n"                                                            \
    "  - linear: {out: 20}\n"                                                                      \
    "  - softplus: 2\n"                                                                            \
    "  - linear: {out: 18}\n"                                                                      \
    "  - leaky_relu:\n"                                                                            \
    "  - linear: {out: 10}\n"

#endif
