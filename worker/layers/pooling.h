/* What maxpool and avgpool share: windows over the input, their options and their taps. */
#ifndef WORKER_LAYERS_POOLING_H
#define WORKER_LAYERS_POOLING_H

#include "worker/layer.h"

/* A window has kernel[0] x kernel[1] taps; tap k = kh * kernel[1] + kw of output (h, w) reads input
 * (h * stride[0] + kh - pad[0], w * stride[1] + kw - pad[1]) where there is one. */
struct pooling {
    int kernel[2], stride[2], pad[2];
    bool ceil; /* a last window may reach past the padding if it starts before its end */
    /* Adaptive: so many outputs a side, output i of n over a side of s covers [floor(i s / n),
     * ceil((i + 1) s / n)), as in PyTorch; 0: windows as above. Stride and kernel are then the
     * least that windows begin apart, and pad is 0. */
    int outputs[2];
};

/* Checks the window against the input (kernel = stride = 0 of a global pool: all of it; stride 0:
 * the kernel), sets the output's shape and checks it. */
status pooling_plan(struct pooling *pooling, struct layer *layer, const int64_t kernel[2],
    const int64_t stride[2], const int64_t pad[2], bool ceil);

/* The same for an adaptive pool, whose `adaptive` leaves nothing to say to the other options. */
status pooling_plan_adaptive(
    struct pooling *pooling, struct layer *layer, const int64_t outputs[2]);

/* The input at which the window of one output begins: negative in the padding. */
int pooling_begin(const struct pooling *pooling, int axis, int output, int size);

/* The taps [*from, *to) of one output that meet the input, along an axis. */
void pooling_taps(
    int *from, int *to, const struct pooling *pooling, int axis, int output, int size);

/* The outputs [*from, *to) whose windows reach one input. */
void pooling_windows(
    int *from, int *to, const struct pooling *pooling, int axis, int input, int size, int outputs);

/* A run along an axis, found once so that no row is cut up again: outputs first, first + 1, ...
 * that all have taps [from, to), or inputs first, first + stride, ..., the i-th of which the
 * windows [from + i, to + i) reach, as the same taps. */
struct pooling_stretch {
    int first, count;
    int from, to;
};
/* All outputs, or all inputs, cut into as few as there can be: at most one for each. Return how
 * many. */
int pooling_cut_outputs(struct pooling_stretch *stretch, const struct pooling *pooling, int axis,
    int size, int outputs);
int pooling_cut_inputs(struct pooling_stretch *stretch, const struct pooling *pooling, int axis,
    int size, int outputs);

/* A row of a channel block: of outputs forward, of inputs' gradients backward. */
typedef void pooling_row(
    const struct layer *layer, const struct layer_run *run, int picture, int block, int row);

/* All rows of all pictures; backward the gradients are handed on, if any are wanted. */
void pooling_forward(const struct layer *layer, const struct layer_run *run,
    const struct pass *pass, pooling_row *row);
void pooling_backward(const struct layer *layer, const struct layer_run *run,
    const struct pass *pass, pooling_row *row);

/* The option `ceil` of a pooling layer whose values are `type_`: torchvision's ceil_mode. */
#define POOLING_CEIL_OPTION(type_)                                                                 \
    {                                                                                              \
        .name = "ceil", .type = OPTION_SWITCH, .offset = offsetof(type_, ceil),                    \
        .initial = "false", .flags = OPTION_CHANGES_BITS,                                          \
        .help = "a last window that reaches past the edge counts, if it starts before it"          \
    }

#endif
