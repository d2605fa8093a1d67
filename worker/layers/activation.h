/* What the layers without options share. */
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

#endif
