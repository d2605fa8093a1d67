/* The trainable pool of LeNet-5 (LeCun et al. 1998, section II.B): the sum of each window, times a
 * coefficient, plus a bias, of which every map has one each. At first the coefficient makes a mean.
 */
#include "worker/containers/containers.h"

struct subsample_options {
    const char *name;
    int64_t kernel;
};

static const struct option subsample_options[] = {
    {.name = "kernel",
        .type = OPTION_INTEGER,
        .offset = offsetof(struct subsample_options, kernel),
        .initial = "2",
        .low = 1,
        .high = 255,
        .flags = OPTION_CHANGES_BITS,
        .help = "side and step of the window"},
    LAYER_NAME_OPTION, OPTIONS_END};

static status expand(struct graph *graph, const struct graph_scope *scope, const void *options,
    const struct node *node) {
    const struct subsample_options *o = options;
    TRY(graph_add_line(
        graph, scope, node, "avgpool name=sum kernel=%lld sum=true", (long long)o->kernel));
    return graph_add_line(graph, scope, node, "scale name=scale coefficient=%.17g",
        1.0 / (double)(o->kernel * o->kernel));
}

const struct layer_operations container_subsample = {
    .kind = {.name = "subsample",
        .help = "LeNet-5's trainable pool: sum of a window * coefficient + bias",
        .options = subsample_options,
        .options_size = sizeof(struct subsample_options)},
    .expand = expand,
};
