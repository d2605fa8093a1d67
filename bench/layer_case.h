/* One convolution with tensors of its own, for programs that measure its three directions. */
#ifndef BENCH_LAYER_CASE_H
#define BENCH_LAYER_CASE_H

#include "base/memory.h"
#include "worker/kernels/convolution.h"

enum direction { FORWARD, BACKWARD_DATA, BACKWARD_WEIGHTS, DIRECTIONS };

struct layer_case {
    struct tensor input, output, input_gradient, output_gradient;
    struct arena arena; /* on huge pages, as in a net */
    size_t used;
    float *weights, *gradient;
    void *scratch;
    struct convolution *convolution;
    struct pass pass;
    int leaf_start[3];
    struct subtree subtree;
    float *gradients[1];
};

/* Takes memory for a pass of `pictures` pictures in two leaves, filled with small numbers. Fails
 * where the shape does not fit. */
status layer_case_init(struct layer_case *layer_case, const struct convolution_shape *shape,
    int pictures, const struct kernels *kernels, enum engine_winograd winograd, int threads);
void layer_case_release(struct layer_case *layer_case);
void layer_case_run(struct layer_case *layer_case, enum direction direction);

/* A line of standard input: channels height width, output channels, height and width each of
 * kernel, stride, pad and dilation, groups, pictures, and 1 where the input has no gradient (else
 * 0). */
struct layer_line {
    struct convolution_shape shape;
    int pictures;
    bool first; /* its input has no gradient */
};
/* The next one; `read` is false at the end of them. Fails where a line has too few numbers. */
status layer_line_read(bool *read, struct layer_line *line);

#endif
