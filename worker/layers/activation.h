/* What the layers that take every element by itself share: without options, or with one constant.
 */
#ifndef WORKER_LAYERS_ACTIVATION_H
#define WORKER_LAYERS_ACTIVATION_H

#include "worker/layer.h"

struct plain_options {
    const char *name;
};
extern const struct option plain_options[];

#define PLAIN_KIND(name_, help_)                                                                   \
    {                                                                                              \
        .name = name_, .help = help_, .options = plain_options,                                    \
        .options_size = sizeof(struct plain_options)                                               \
    }

/* Plans a layer that may write over its input, whose backward needs its output alone. */
status activation_plan(struct layer *layer, const struct layer_plan *plan);

/* Gradient of the input from that of the output and the output, by a kernel. */
void activation_backward(const struct layer *layer, const struct layer_run *run, int pictures,
    void (*kernel)(float *out, const float *out_gradient, const float *out_value, size_t count));

/* ---- with a constant ---- */

struct constant_options {
    const char *name;
    double constant;
};

/* The table of a layer whose one constant is called `name_`; what it is worth must not turn the
 * sign of the output, from which backward tells the sides apart. */
#define CONSTANT_OPTIONS(name_, initial_, low_, help_)                                             \
    {                                                                                              \
        {.name = name_,                                                                            \
            .type = OPTION_REAL,                                                                   \
            .offset = offsetof(struct constant_options, constant),                                 \
            .initial = initial_,                                                                   \
            .low = low_,                                                                           \
            .high = 1000,                                                                          \
            .flags = OPTION_CHANGES_BITS,                                                          \
            .help = help_},                                                                        \
            LAYER_NAME_OPTION, OPTIONS_END                                                         \
    }

/* The kernel with the layer's constant in all channels. */
void activation_constant_forward(const struct layer *layer, const struct layer_run *run,
    const struct pass *pass, activation_kernel kernel);
void activation_constant_backward(const struct layer *layer, const struct layer_run *run,
    const struct pass *pass, activation_backward_kernel kernel);

/* The kernels with constants[block * step ..]: a step of 16, or 0 for all blocks alike. `value` is
 * the output or the input, as the kernel has it. */
void activation_map(const struct layer *layer, const struct layer_run *run, int pictures,
    activation_kernel kernel, const float *constants, int step);
void activation_map_backward(const struct layer *layer, const struct layer_run *run, int pictures,
    const struct tensor *value, activation_backward_kernel kernel, const float *constants,
    int step);

/* Sets the padding lanes of the output to zero, after a function that is not 0 at 0. */
void activation_clear_padding(const struct layer *layer, const struct layer_run *run, int pictures);

#endif
