#include "worker/kernels/convolution_operand.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* A text that grows, and that what has no room is cut from. */
struct text {
    char *start;
    size_t size;
};

static void append(struct text text, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void append(struct text text, const char *format, ...) {
    size_t length = strlen(text.start);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text.start + length, text.size - length, format, arguments);
    va_end(arguments);
}

static void name_shared(struct text text, const struct convolution *c) {
    const char *isa = cpu_isa_name(c->kernels->isa);
    int height = c->height.kernel, width = c->width.kernel;
    if (c->winograd != NULL) {
        append(text, "winograd %dx%d, %dx%d %s", c->winograd->output, c->winograd->output, height,
            width, isa);
    } else if (c->engine == ENGINE_BLAS) {
        append(text, "blas im2col %dx%d", height, width);
    } else {
        append(text, "%s %dx%d %s", c->depthwise ? "depthwise" : "direct", height, width, isa);
    }
}

static void name_tile(
    struct text text, const struct convolution *c, enum convolution_direction direction) {
    const struct product_kernels *product = &c->kernels->product;
    const struct channel_side *side =
        direction == CONVOLUTION_BACKWARD_DATA ? &c->input : &c->output;
    int lanes = channel_tile_width(&side->tile[0]);
    bool block = c->winograd != NULL && direction == CONVOLUTION_BACKWARD_WEIGHTS;
    append(text, " %dx%d", block ? product->weights_rows : product->rows,
        lanes < product->lanes ? lanes : product->lanes);
}

/* Lanes of a block that are of other groups are multiplied with zeros. */
static void name_groups(struct text text, const struct convolution *c, bool transposed) {
    int groups = c->shape.groups, in = c->input.channels / groups;
    int out = c->output.channels / groups;
    append(text, ", groups of %d", transposed ? out : in);
    if (out != in) {
        append(text, " to %d", transposed ? in : out);
    }
    append(text, " in dense blocks");
}

static void name_copies(struct text text, const struct convolution *c,
    enum convolution_direction direction, bool transposed) {
    if (direction == CONVOLUTION_BACKWARD_DATA || operand_input_bytes(c) == 0) {
        return;
    }
    if (direction == CONVOLUTION_BACKWARD_WEIGHTS && operand_gradient_bytes(c) > 0) {
        append(text, ", input and gradient copied");
    } else {
        append(text, ", %s copied", transposed ? "gradient" : "input");
    }
}

/* The direction of the planned convolution that a transposed one has in place of its own. */
static enum convolution_direction planned(enum convolution_direction direction, bool transposed) {
    static const enum convolution_direction other[CONVOLUTION_DIRECTIONS] = {
        [CONVOLUTION_FORWARD] = CONVOLUTION_BACKWARD_DATA,
        [CONVOLUTION_BACKWARD_DATA] = CONVOLUTION_FORWARD,
        [CONVOLUTION_BACKWARD_WEIGHTS] = CONVOLUTION_BACKWARD_WEIGHTS,
    };
    return transposed ? other[direction] : direction;
}

void convolution_name_kernels(
    struct convolution_kernels *kernels, const struct convolution *c, bool transposed) {
    *kernels = (struct convolution_kernels){.shared = 0};
    for (int d = 0; d < CONVOLUTION_DIRECTIONS; d++) {
        struct text text = {kernels->text[d], sizeof kernels->text[d]};
        name_shared(text, c);
        kernels->shared = (int)strlen(text.start);
        if (c->engine == ENGINE_BLAS || c->depthwise) {
            continue;
        }
        kernels->shared++;
        name_tile(text, c, planned(d, transposed));
        if (c->masked) {
            name_groups(text, c, transposed);
        }
        name_copies(text, c, planned(d, transposed), transposed);
    }
}
