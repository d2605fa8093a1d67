#include "reference/reference.h"

/* For every pixel that is kept, the place in the output and the one in the input. */
static void keep(const struct reference_run *run, bool backward) {
    struct shape in = run->layer->input[0]->shape, out = run->layer->output[0]->shape;
    int stride = (int)reference_number(run, "stride", 1);
    for (int n = 0; n < run->pass->pictures; n++) {
        for (int c = 0; c < in.channels; c++) {
            for (int p = 0; p < out.height * out.width; p++) {
                int h = p / out.width, w = p % out.width;
                size_t to = reference_at(out, n, c, h, w);
                size_t from = reference_at(in, n, c, h * stride, w * stride);
                if (backward) {
                    run->input_gradient[0][from] = run->output_gradient[0][to];
                } else {
                    run->output[0][to] = run->input[0][from];
                }
            }
        }
    }
}

static void forward(const struct reference_run *run) {
    for (size_t i = 0; i < reference_count(run, run->layer->output[0]->shape); i++) {
        run->output[0][i] = 0;
    }
    keep(run, false);
}

static void backward(const struct reference_run *run) {
    for (size_t i = 0; i < reference_count(run, run->layer->input[0]->shape); i++) {
        run->input_gradient[0][i] = 0;
    }
    keep(run, true);
}

const struct reference reference_pad_channels = {"pad_channels", forward, backward};
