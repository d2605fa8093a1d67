/* Depthwise convolutions, whose lanes never meet. Weights are packed as those of any other groups,
 * 16 x 16 a tap, of which they use the diagonal: the dense kernels would multiply fifteen zeros for
 * every number. Backward-weights is convolution_backward_weights.c with a kernel of its own. */
#include "base/cpu.h"
#include "worker/kernels/convolution_plan.h"

#include <omp.h>

static int taps_of(const struct convolution *c) {
    return c->height.kernel * c->width.kernel;
}

static size_t own_bytes(const struct convolution *c) {
    return convolution_align((size_t)taps_of(c) * CHANNEL_BLOCK * sizeof(float));
}

bool convolution_is_depthwise(const struct convolution *c) {
    return c->engine == ENGINE_CONVOY && c->shape.groups > 1 &&
           c->shape.groups == c->shape.input.channels &&
           c->shape.groups == c->shape.output_channels && taps_of(c) <= DEPTHWISE_TAPS_LIMIT;
}

size_t convolution_depthwise_scratch(const struct convolution *c) {
    return (size_t)c->threads * own_bytes(c);
}

/* The diagonals of one block: out[taps][16]. */
static void take_diagonals(
    float *out, const float *weights, const struct convolution *c, int block) {
    const float *packed = weights + c->output.tile[block].offset;
    for (int tap = 0; tap < taps_of(c); tap++) {
        for (int l = 0; l < CHANNEL_BLOCK; l++) {
            *out++ = packed[(tap * CHANNEL_BLOCK + l) * CHANNEL_BLOCK + l];
        }
    }
}

/* One block of one picture, `weights` its diagonals and `bias` its own; epilogue or NULL. */
struct plane {
    const struct tensor *to, *from;
    const float *weights, *bias;
    int picture, block;
    const struct convolution *c;
    const struct epilogue *epilogue;
};

static void forward_plane(const struct plane *p) {
    const struct convolution *c = p->c;
    const struct convolution_axis *h = &c->height, *w = &c->width;
    const struct depthwise_taps taps = {h->kernel, w->kernel, h->dilation * p->from->row_stride,
        (ptrdiff_t)w->dilation * CHANNEL_BLOCK, (ptrdiff_t)w->kernel * CHANNEL_BLOCK,
        CHANNEL_BLOCK};
    for (int row = 0; row < h->output;) {
        struct epilogue_run run = epilogue_run_at(p->to->shape, p->picture, p->block, row);
        for (; row < run.row + run.rows; row++) {
            c->kernels->depthwise.pixels(tensor_at(p->to, p->picture, p->block, row, 0),
                CHANNEL_BLOCK,
                tensor_at(p->from, p->picture, p->block, row * h->stride - h->pad, -w->pad),
                (ptrdiff_t)w->stride * CHANNEL_BLOCK, p->weights, &taps, p->bias, w->output);
        }
        if (p->epilogue != NULL) {
            p->epilogue->run(p->epilogue, &run);
        }
    }
}

static void backward_plane(const struct plane *p) {
    const struct convolution *c = p->c;
    struct convolution_phase h, w;
    for (int number = 0; number < c->height.phases * c->width.phases; number++) {
        convolution_phase_init(&h, &c->height, number / c->width.phases);
        convolution_phase_init(&w, &c->width, number % c->width.phases);
        const struct depthwise_taps taps = {h.taps, w.taps, h.offset_step * p->from->row_stride,
            (ptrdiff_t)w.offset_step * CHANNEL_BLOCK,
            -(ptrdiff_t)h.tap_step * c->width.kernel * CHANNEL_BLOCK,
            -(ptrdiff_t)w.tap_step * CHANNEL_BLOCK};
        for (int i = 0; i < h.count; i++) {
            int row = h.first + i * c->height.phase_stride;
            c->kernels->depthwise.pixels(tensor_at(p->to, p->picture, p->block, row, w.first),
                (ptrdiff_t)c->width.phase_stride * CHANNEL_BLOCK,
                tensor_at(p->from, p->picture, p->block, h.offset + i, w.offset), CHANNEL_BLOCK,
                p->weights + (ptrdiff_t)(h.tap * c->width.kernel + w.tap) * CHANNEL_BLOCK, &taps,
                p->bias, w.count);
        }
    }
    if (p->epilogue != NULL) {
        epilogue_block(p->epilogue, p->to->shape, p->picture, p->block);
    }
}

/* All planes, block by block. */
static void each_plane(void (*run)(const struct plane *plane), struct plane plane,
    const float *weights, const float *bias, int pictures, void *scratch) {
    const struct convolution *c = plane.c;
    int blocks = c->output.tiles;
#pragma omp parallel num_threads(c->threads) firstprivate(plane)
    {
        cpu_flush_denormals();
        int thread = omp_get_thread_num(), threads = omp_get_num_threads(), last = -1;
        float *own = (float *)(void *)((char *)scratch + (size_t)thread * own_bytes(c));
        int64_t total = (int64_t)blocks * pictures, past = total * (thread + 1) / threads;
        plane.weights = own;
        for (int64_t i = total * thread / threads; i < past; i++) {
            plane.block = (int)(i / pictures);
            plane.picture = (int)(i % pictures);
            if (plane.block != last) {
                last = plane.block;
                take_diagonals(own, weights, c, last);
                plane.bias = bias != NULL ? bias + (ptrdiff_t)last * CHANNEL_BLOCK : NULL;
            }
            run(&plane);
        }
    }
}

void convolution_depthwise_forward(const struct tensor *output, const struct tensor *input,
    const float *weights, const float *bias, int pictures, const struct convolution *convolution,
    const struct epilogue *epilogue, void *scratch) {
    const struct plane plane = {
        .to = output, .from = input, .c = convolution, .epilogue = epilogue};
    each_plane(forward_plane, plane, weights, bias, pictures, scratch);
}

void convolution_depthwise_backward_data(const struct tensor *input_gradient,
    const struct tensor *output_gradient, const float *weights, const float *bias, int pictures,
    const struct convolution *convolution, const struct epilogue *epilogue, void *scratch) {
    const struct plane plane = {
        .to = input_gradient, .from = output_gradient, .c = convolution, .epilogue = epilogue};
    each_plane(backward_plane, plane, weights, bias, pictures, scratch);
}
