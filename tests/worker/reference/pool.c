/* maxpool and avgpool, window by window. */
#include "reference/reference.h"

#include <math.h>
#include <string.h>

struct window {
    int kernel[2], stride[2], pad[2];
    int adaptive[2]; /* outputs of an adaptive pool; 0: none */
};

static struct window window_of(const struct reference_run *run) {
    struct window window;
    struct shape in = run->layer->input[0]->shape;
    bool global = reference_switch(run, "global", false);
    for (int axis = 0; axis < 2; axis++) {
        int whole = axis == 0 ? in.height : in.width;
        window.kernel[axis] = global ? whole : reference_pair(run, "kernel", axis, 2);
        window.stride[axis] = reference_pair(run, "stride", axis, window.kernel[axis]);
        window.pad[axis] = reference_pair(run, "pad", axis, 0);
        window.adaptive[axis] = reference_pair(run, "adaptive", axis, 0);
    }
    return window;
}

/* Whether tap k of the window of output (h, w) meets the input, and where. */
static bool meets(
    int *y, int *x, const struct window *window, struct shape in, int h, int w, int k) {
    *y = h * window->stride[0] + k / window->kernel[1] - window->pad[0];
    *x = w * window->stride[1] + k % window->kernel[1] - window->pad[1];
    return *y >= 0 && *y < in.height && *x >= 0 && *x < in.width;
}

/* The window of output (h, w) of an adaptive pool, by its definition. */
static struct window adapted(const struct window *window, struct shape in, int h, int w) {
    int place[2] = {h, w}, size[2] = {in.height, in.width};
    struct window one = *window;
    for (int axis = 0; axis < 2 && window->adaptive[0] > 0; axis++) {
        double step = (double)size[axis] / window->adaptive[axis];
        int first = (int)floor(place[axis] * step + 1e-9);
        one.kernel[axis] = (int)ceil((place[axis] + 1) * step - 1e-9) - first;
        one.stride[axis] = 1;
        one.pad[axis] = place[axis] - first;
    }
    return one;
}

/* The place of the largest input of a window; of equals the first. */
static size_t largest(
    const struct reference_run *run, const struct window *all, int n, int c, int h, int w) {
    struct shape in = run->layer->input[0]->shape;
    struct window one = adapted(all, in, h, w), *window = &one;
    size_t best = SIZE_MAX;
    for (int k = 0; k < window->kernel[0] * window->kernel[1]; k++) {
        int y, x;
        if (meets(&y, &x, window, in, h, w, k)) {
            size_t place = reference_at(in, n, c, y, x);
            if (best == SIZE_MAX || run->input[0][place] > run->input[0][best]) {
                best = place;
            }
        }
    }
    return best;
}

static void maximum(const struct reference_run *run, bool backward) {
    struct window window = window_of(run);
    struct shape out = run->layer->output[0]->shape;
    for (int n = 0; n < run->pass->pictures; n++) {
        for (int c = 0; c < out.channels; c++) {
            for (int h = 0; h < out.height; h++) {
                for (int w = 0; w < out.width; w++) {
                    size_t from = largest(run, &window, n, c, h, w);
                    size_t to = reference_at(out, n, c, h, w);
                    if (backward) {
                        run->input_gradient[0][from] += run->output_gradient[0][to];
                    } else {
                        run->output[0][to] = run->input[0][from];
                    }
                }
            }
        }
    }
}

static void clear(const struct reference_run *run) {
    memset(run->input_gradient[0], 0,
        reference_count(run, run->layer->input[0]->shape) * sizeof(double));
}

static void maximum_forward(const struct reference_run *run) {
    maximum(run, false);
}

static void maximum_backward(const struct reference_run *run) {
    clear(run);
    maximum(run, true);
}

const struct reference reference_maxpool = {"maxpool", maximum_forward, maximum_backward};

/* Taps inside the picture and `edge` times its padding. */
static int taps_inside(const struct window *window, struct shape in, int h, int w, int edge) {
    int count = 0;
    for (int k = 0; k < window->kernel[0] * window->kernel[1]; k++) {
        int y = h * window->stride[0] + k / window->kernel[1] - window->pad[0];
        int x = w * window->stride[1] + k % window->kernel[1] - window->pad[1];
        int rows = edge * window->pad[0], columns = edge * window->pad[1];
        count += y >= -rows && y < in.height + rows && x >= -columns && x < in.width + columns;
    }
    return count;
}

static void mean_of_window(const struct reference_run *run, const struct window *all, int n, int c,
    int h, int w, bool backward) {
    struct shape in = run->layer->input[0]->shape, out = run->layer->output[0]->shape;
    struct window one = adapted(all, in, h, w), *window = &one;
    int taps = window->kernel[0] * window->kernel[1], y, x;
    bool count_pad = reference_switch(run, "count_pad", true) && all->adaptive[0] == 0;
    double count = taps_inside(window, in, h, w, count_pad ? 1 : 0);
    if (reference_switch(run, "sum", false)) {
        count = 1;
    }
    size_t to = reference_at(out, n, c, h, w);
    if (!backward) {
        run->output[0][to] = 0;
    }
    for (int k = 0; k < taps; k++) {
        if (!meets(&y, &x, window, in, h, w, k)) {
            continue;
        }
        size_t from = reference_at(in, n, c, y, x);
        if (backward) {
            run->input_gradient[0][from] += run->output_gradient[0][to] / count;
        } else {
            run->output[0][to] += run->input[0][from] / count;
        }
    }
}

static void mean(const struct reference_run *run, bool backward) {
    struct window window = window_of(run);
    struct shape out = run->layer->output[0]->shape;
    for (int n = 0; n < run->pass->pictures; n++) {
        for (int c = 0; c < out.channels; c++) {
            for (int p = 0; p < out.height * out.width; p++) {
                mean_of_window(run, &window, n, c, p / out.width, p % out.width, backward);
            }
        }
    }
}

static void mean_forward(const struct reference_run *run) {
    mean(run, false);
}

static void mean_backward(const struct reference_run *run) {
    clear(run);
    mean(run, true);
}

const struct reference reference_avgpool = {"avgpool", mean_forward, mean_backward};
