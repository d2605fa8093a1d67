/* By how much convolutions are off double precision, by the direct kernels and by Winograd's
 * filters.
 *
 *     bench_winograd_error < LAYERS
 *
 * LAYERS are those of bench_products --lines (layer_case.h). Values are as in a network: inputs are
 * normal and rectified, weights normal with variance 2 / (inputs of an output), gradients normal.
 * Out comes a list in JSON, an entry a layer: root mean square of what is off by that of the
 * result, forward, backward-data and backward-weights, by the "direct" kernels and by "winograd"
 * (the same where the shape has no other kernel by default; backward-data 0 where there is none).
 */
#include "base/random.h"
#include "layer_case.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define LANES CHANNEL_BLOCK
enum { DIRECT, WINOGRAD, WHO };
enum { INPUT, WEIGHTS, GRADIENT }; /* what random numbers are for */

/* Of one direction: sums of squares. */
struct error {
    double off[WHO], result;
};

static double normal(uint32_t purpose, size_t index) {
    const uint32_t counter[4] = {(uint32_t)index, (uint32_t)(index >> 32), purpose, 0};
    const uint32_t key[2] = {1, 2};
    uint32_t bits[4];
    double numbers[2];
    philox4x32(bits, counter, key);
    random_normal(numbers, bits[0], bits[1]);
    return numbers[0];
}

static void fill(const struct tensor *t, uint32_t purpose) {
    size_t index = 0;
    for (int n = 0; n < t->pictures; n++) {
        for (int c = 0; c < t->shape.channels; c++) {
            for (int h = 0; h < t->shape.height; h++) {
                for (int w = 0; w < t->shape.width; w++, index++) {
                    double value = normal(purpose, index);
                    tensor_at(t, n, c / LANES, h, w)[c % LANES] =
                        (float)(purpose == INPUT && value < 0.0 ? 0.0 : value);
                }
            }
        }
    }
}

static void *must_allocate(size_t count, size_t size) {
    void *memory = NULL;
    if (memory_allocate(&memory, count, size) != STATUS_OK) {
        fprintf(stderr, "bench_winograd_error: %s\n", status_message());
        exit(1);
    }
    return memory;
}

static size_t weights_count(const struct convolution_shape *s) {
    return (size_t)s->output_channels * (size_t)s->input.channels * (size_t)s->kernel_height *
           (size_t)s->kernel_width;
}

/* Element of weights in standard order. */
static size_t weight_at(const struct convolution_shape *s, int o, int i, int kh, int kw) {
    return (size_t)((o * s->input.channels + i) * s->kernel_height + kh) * (size_t)s->kernel_width +
           (size_t)kw;
}

/* Weights in blocks of 16 output channels, [blocks][inputs][kh][kw][16], for `correlate`; for
 * backward-data with inputs and outputs exchanged and taps in reverse. */
static double *in_blocks(const struct convolution_shape *s, const float *weights, bool backward) {
    int outputs = backward ? s->input.channels : s->output_channels;
    int inputs = backward ? s->output_channels : s->input.channels;
    int height = s->kernel_height, width = s->kernel_width;
    size_t taps = (size_t)(height * width), block = (size_t)inputs * taps * LANES;
    double *out = must_allocate((size_t)shape_blocks(outputs) * block, sizeof(double));
    for (int o = 0; o < outputs; o++) {
        for (int i = 0; i < inputs; i++) {
            for (int t = 0; t < height * width; t++) {
                int kh = t / width, kw = t % width;
                size_t from = backward ? weight_at(s, i, o, height - 1 - kh, width - 1 - kw)
                                       : weight_at(s, o, i, kh, kw);
                out[(size_t)(o / LANES) * block + ((size_t)i * taps + (size_t)t) * LANES +
                    (size_t)(o % LANES)] = (double)weights[from];
            }
        }
    }
    return out;
}

/* One output pixel of a block: sums over inputs and taps, stride 1. */
static void correlate(double sum[LANES], const struct tensor *in, const double *weights,
    const struct convolution_shape *s, const int pad[2], int n, int h, int w) {
    for (int l = 0; l < LANES; l++) {
        sum[l] = 0.0;
    }
    for (int i = 0; i < in->shape.channels; i++) {
        for (int kh = 0; kh < s->kernel_height; kh++) {
            for (int kw = 0; kw < s->kernel_width; kw++, weights += LANES) {
                int y = h + kh - pad[0], x = w + kw - pad[1];
                if (y < 0 || y >= in->shape.height || x < 0 || x >= in->shape.width) {
                    continue;
                }
                double value = (double)tensor_at(in, n, i / LANES, y, x)[i % LANES];
                for (int l = 0; l < LANES; l++) {
                    sum[l] += value * weights[l];
                }
            }
        }
    }
}

/* Forward, or backward-data: both are sums over the taps around a pixel. */
static struct error error_of_maps(const struct tensor *const result[WHO], const struct tensor *in,
    const float *weights, const struct convolution_shape *s, bool backward) {
    const struct tensor *first = result[DIRECT];
    int blocks = shape_blocks(first->shape.channels);
    int pad[2] = {s->pad_height, s->pad_width};
    if (backward) {
        pad[0] = s->kernel_height - 1 - pad[0];
        pad[1] = s->kernel_width - 1 - pad[1];
    }
    double *packed = in_blocks(s, weights, backward);
    size_t block =
        (size_t)(in->shape.channels * s->kernel_height * s->kernel_width) * (size_t)LANES;
    double direct = 0.0, winograd = 0.0, size = 0.0;
#pragma omp parallel for collapse(3) reduction(+ : direct, winograd, size)
    for (int b = 0; b < blocks; b++) {
        for (int n = 0; n < first->pictures; n++) {
            for (int h = 0; h < first->shape.height; h++) {
                for (int w = 0; w < first->shape.width; w++) {
                    double sum[LANES];
                    correlate(sum, in, packed + (size_t)b * block, s, pad, n, h, w);
                    for (int l = 0; l < LANES; l++) {
                        double off[WHO];
                        for (int k = 0; k < WHO; k++) {
                            off[k] = (double)tensor_at(result[k], n, b, h, w)[l] - sum[l];
                        }
                        direct += off[DIRECT] * off[DIRECT];
                        winograd += off[WINOGRAD] * off[WINOGRAD];
                        size += sum[l] * sum[l];
                    }
                }
            }
        }
    }
    free(packed);
    return (struct error){{direct, winograd}, size};
}

/* The gradient of one tap between two blocks of channels, over all pictures. */
static void tap_gradient(double sum[LANES][LANES], const struct tensor *in,
    const struct tensor *gradient, int in_block, int out_block, int down, int right) {
    for (int i = 0; i < LANES * LANES; i++) {
        sum[i / LANES][i % LANES] = 0.0;
    }
    for (int n = 0; n < in->pictures; n++) {
        for (int h = 0; h < gradient->shape.height; h++) {
            for (int w = 0; w < gradient->shape.width; w++) {
                int y = h + down, x = w + right;
                if (y < 0 || y >= in->shape.height || x < 0 || x >= in->shape.width) {
                    continue;
                }
                const float *value = tensor_at(in, n, in_block, y, x);
                const float *of = tensor_at(gradient, n, out_block, h, w);
                for (int i = 0; i < LANES; i++) {
                    for (int o = 0; o < LANES; o++) {
                        sum[i][o] += (double)value[i] * (double)of[o];
                    }
                }
            }
        }
    }
}

static struct error error_of_weights(float *const result[WHO], const struct tensor *in,
    const struct tensor *gradient, const struct convolution_shape *s) {
    int taps = s->kernel_height * s->kernel_width;
    int in_blocks = shape_blocks(s->input.channels), out_blocks = shape_blocks(s->output_channels);
    double direct = 0.0, winograd = 0.0, size = 0.0;
#pragma omp parallel for collapse(3) reduction(+ : direct, winograd, size)
    for (int ob = 0; ob < out_blocks; ob++) {
        for (int ib = 0; ib < in_blocks; ib++) {
            for (int t = 0; t < taps; t++) {
                double sum[LANES][LANES];
                int kh = t / s->kernel_width, kw = t % s->kernel_width;
                tap_gradient(sum, in, gradient, ib, ob, kh - s->pad_height, kw - s->pad_width);
                for (int i = 0; i < LANES && ib * LANES + i < s->input.channels; i++) {
                    for (int o = 0; o < LANES && ob * LANES + o < s->output_channels; o++) {
                        size_t at = weight_at(s, ob * LANES + o, ib * LANES + i, kh, kw);
                        double off[WHO];
                        for (int k = 0; k < WHO; k++) {
                            off[k] = (double)result[k][at] - sum[i][o];
                        }
                        direct += off[DIRECT] * off[DIRECT];
                        winograd += off[WINOGRAD] * off[WINOGRAD];
                        size += sum[i][o] * sum[i][o];
                    }
                }
            }
        }
    }
    return (struct error){{direct, winograd}, size};
}

static void run_case(struct layer_case *own, const float *weights, float *gradient, bool first) {
    convolution_pack(own->weights, weights, own->convolution);
    fill(&own->input, INPUT);
    fill(&own->output_gradient, GRADIENT);
    for (enum direction d = FORWARD; d < DIRECTIONS; d++) {
        if (!first || d != BACKWARD_DATA) {
            layer_case_run(own, d);
        }
    }
    convolution_unpack(gradient, own->gradient, own->convolution);
}

static void print_errors(const char *name, const struct error *errors, int who) {
    printf("\"%s\": [", name);
    for (int d = 0; d < DIRECTIONS; d++) {
        double error = errors[d].result > 0 ? sqrt(errors[d].off[who] / errors[d].result) : 0.0;
        printf("%s%.3g", d > 0 ? ", " : "", error);
    }
    printf("]");
}

static void compare(struct layer_case cases[WHO], const struct layer_line *line) {
    const struct convolution_shape *s = &line->shape;
    size_t count = weights_count(s);
    float *weights = must_allocate(count, sizeof(float)), *gradient[WHO];
    double scale = sqrt(2.0 * s->output_channels / (double)count);
    for (size_t i = 0; i < count; i++) {
        weights[i] = (float)(scale * normal(WEIGHTS, i));
    }
    for (int k = 0; k < WHO; k++) {
        gradient[k] = must_allocate(count, sizeof(float));
        run_case(&cases[k], weights, gradient[k], line->first);
    }
    const struct tensor *outputs[WHO] = {&cases[DIRECT].output, &cases[WINOGRAD].output};
    const struct tensor *gradients[WHO] = {
        &cases[DIRECT].input_gradient, &cases[WINOGRAD].input_gradient};
    const struct tensor *in = &cases[DIRECT].input, *out = &cases[DIRECT].output_gradient;
    struct error errors[DIRECTIONS] = {0};
    errors[FORWARD] = error_of_maps(outputs, in, weights, s, false);
    if (!line->first) {
        errors[BACKWARD_DATA] = error_of_maps(gradients, out, weights, s, true);
    }
    errors[BACKWARD_WEIGHTS] = error_of_weights(gradient, in, out, s);
    print_errors("direct", errors, DIRECT);
    printf(", ");
    print_errors("winograd", errors, WINOGRAD);
    free(weights);
    free(gradient[DIRECT]);
    free(gradient[WINOGRAD]);
}

static status run_line(const struct layer_line *line) {
    static const enum engine_winograd wishes[WHO] = {WINOGRAD_OFF, WINOGRAD_ON};
    const struct convolution_shape *s = &line->shape;
    struct layer_case cases[WHO] = {0};
    enum cpu_isa isa;
    if (s->groups != 1 || s->stride_height != 1 || s->stride_width != 1 ||
        s->dilation_height != 1 || s->dilation_width != 1) {
        FAIL(STATUS_INPUT, "only convolutions of stride 1 without groups and dilation");
    }
    TRY(cpu_isa_choose(&isa));
    status result = STATUS_OK;
    for (int k = 0; k < WHO && result == STATUS_OK; k++) {
        result = layer_case_init(&cases[k], s, line->pictures, kernels_get(isa), wishes[k], 2);
    }
    if (result == STATUS_OK) {
        compare(cases, line);
    }
    for (int k = 0; k < WHO; k++) {
        layer_case_release(&cases[k]);
    }
    return result;
}

static status run_lines(void) {
    struct layer_line line;
    bool read;
    const char *before = "[\n";
    TRY(layer_line_read(&read, &line));
    while (read) {
        printf("%s{", before);
        before = ",\n";
        TRY(run_line(&line));
        printf("}");
        fflush(stdout);
        TRY(layer_line_read(&read, &line));
    }
    printf("\n]\n");
    return STATUS_OK;
}

int main(void) {
    if (run_lines() != STATUS_OK) {
        fprintf(stderr, "bench_winograd_error: %s\n", status_message());
        return 1;
    }
    return 0;
}
