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

/* Branches that end in blocks of channels: after a rectifier, batch norm, pooling and a convolution
 * whose gradient has a border; in one another, in some lanes of the last block, in a sum, in the
 * value itself, and where nothing can lie in its place. */
#define MODEL_BRANCHES                                                                             \
    "input: {channels: 3, height: 7, width: 6}\n"                                                  \
    "layers:\n"                                                                                    \
    "  - conv: {out: 32, kernel: 3, pad: 1}\n"                                                     \
    "  - branches:\n"                                                                              \
    "      - [{conv: {out: 16, kernel: 1}}, {relu: {}}]\n"                                         \
    "      - [{conv: {out: 48, kernel: 3, pad: 1}}, {relu: {}}]\n"                                 \
    "      - [{maxpool: {kernel: 3, stride: 1, pad: 1}}, {conv: {out: 16, kernel: 1}}, "           \
    "{batchnorm: {}}, {relu: {}}]\n"                                                               \
    "      - [{conv: {out: 20, kernel: 3, pad: 1}}]\n"                                             \
    "  - relu:\n"                                                                                  \
    "  - inception: {ones: 16, threes: [8, 32], fives: [4, 16], pool: 16, norm: true}\n"           \
    "  - inception: {ones: 16, threes: [8, 32], fives: [4, 16], pool: 16, norm: true}\n"           \
    "  - branches:\n"                                                                              \
    "      - [{branches: [[{conv: {out: 16, kernel: 1}}], [{conv: {out: 16, kernel: 3, pad: 1}}, " \
    "{relu: {}}]]}]\n"                                                                             \
    "      - []\n"                                                                                 \
    "      - [{conv: {out: 7, kernel: 1}}, {tanh: {}}]\n"                                          \
    "      - [{conv: {out: 16, kernel: 1}}, {relu: {}}]\n"                                         \
    "  - residual: {body: [{branches: [[{conv: {out: 64, kernel: 1}}, {relu: {}}], [{conv: {out: " \
    "71, kernel: 1}}]]}]}\n"                                                                       \
    "  - branches: [[{maxpool: {kernel: 2}}], [{conv: {out: 16, kernel: 2, stride: 2}}]]\n"        \
    "  - conv: {out: 16, kernel: 3, pad: 1}\n"                                                     \
    "  - dropout: 0.3\n"                                                                           \
    "  - linear: {out: 10}\n"

/* The layers that the others do not have. */
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

/* The layers that no other model has. */
#define MODEL_REST                                                                                 \
    "input: {channels: 3, height: 9, width: 8}\n"                                                  \
    "layers:\n"                                                                                    \
    "  - conv: {out: 6, kernel: 3, table: [[0], [0, 2], [1], [0, 1, 2], [1, 2], [2]]}\n"           \
    "  - lecun_tanh:\n"                                                                            \
    "  - conv_transpose: {out: 17, kernel: 3, stride: 2, pad: 1}\n"                                \
    "  - scale:\n"                                                                                 \
    "  - pad_channels: {out: 21, stride: 2}\n"                                                     \
    "  - softmax:\n"                                                                               \
    "  - conv_transpose: {out: 20, kernel: 3, stride: 1}\n"                                        \
    "  - maxpool: {kernel: 4, stride: 4}\n"                                                        \
    "  - linear: {out: 12}\n"                                                                      \
    "  - lecun_tanh:\n"                                                                            \
    "  - rbf: {out: 10, codes: random}\n"

/* Winograd's filters in all forms, of groups too, beside what hands rows on to them and takes rows
 * and sums from them. */
#define MODEL_WINOGRAD                                                                             \
    "input: {channels: 3, height: 6, width: 6}\n"                                                  \
    "layers:\n"                                                                                    \
    "  - conv: {out: 34, kernel: 3, pad: 1}\n"                                                     \
    "  - relu:\n"                                                                                  \
    "  - conv: {out: 40, kernel: 3, pad: 1, bias: false}\n"                                        \
    "  - batchnorm:\n"                                                                             \
    "  - relu:\n"                                                                                  \
    "  - residual: {body: [{conv: {out: 40, kernel: 5, pad: 2}}, {relu: {}}, {conv: {out: 40, "    \
    "kernel: 3, pad: 1, bias: false}}, {batchnorm: {}}]}\n"                                        \
    "  - relu:\n"                                                                                  \
    "  - conv: {out: 32, kernel: 3, pad: 2}\n"                                                     \
    "  - maxpool: {kernel: 2, stride: 1}\n"                                                        \
    "  - branches: [[{conv: {out: 32, kernel: 3, pad: 1}}, {relu: {}}], [{conv: {out: 32, "        \
    "kernel: 1}}, {batchnorm: {}}, {relu: {}}]]\n"                                                 \
    "  - conv: {out: 64, kernel: 3, pad: 1, groups: 2}\n"                                          \
    "  - dropout: 0.3\n"                                                                           \
    "  - avgpool: {global: true}\n"                                                                \
    "  - linear: {out: 10}\n"

/* Groups: depthwise ones, and those of few channels, in dense blocks with zeros between them;
 * before and after batch norm, whose sums they take and whose rows they are handed. */
#define MODEL_GROUPS                                                                               \
    "input: {channels: 3, height: 9, width: 8}\n"                                                  \
    "layers:\n"                                                                                    \
    "  - conv: {out: 24, kernel: 3, pad: 1}\n"                                                     \
    "  - relu:\n"                                                                                  \
    "  - conv: {out: 24, kernel: 3, pad: 1, groups: 24, bias: false}\n"                            \
    "  - batchnorm:\n"                                                                             \
    "  - relu:\n"                                                                                  \
    "  - conv: {out: 40, kernel: 1, groups: 4, bias: false}\n"                                     \
    "  - batchnorm:\n"                                                                             \
    "  - relu:\n"                                                                                  \
    "  - residual: {body: [{conv: {out: 40, kernel: 3, pad: 1, groups: 10, bias: false}}, "        \
    "{batchnorm: {}}, {relu: {}}, {conv: {out: 40, kernel: 3, pad: 1, groups: 40}}, "              \
    "{batchnorm: {}}]}\n"                                                                          \
    "  - relu:\n"                                                                                  \
    "  - conv: {out: 40, kernel: 5, stride: 2, pad: 2, groups: 40}\n"                              \
    "  - conv: {out: 20, kernel: 3, stride: 2, pad: 1, groups: 5}\n"                               \
    "  - batchnorm:\n"                                                                             \
    "  - relu:\n"                                                                                  \
    "  - dropout: 0.2\n"                                                                           \
    "  - linear: {out: 10}\n"

#define MODELS_OF_EVERYTHING                                                                       \
    {                                                                                              \
        MODEL_LENET, MODEL_RESIDUAL, MODEL_BRANCHES, MODEL_LAYERS, MODEL_REST, MODEL_WINOGRAD,     \
            MODEL_GROUPS                                                                           \
    }

#endif
