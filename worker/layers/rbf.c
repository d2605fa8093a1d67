/* LeNet-5's output (LeCun et al. 1998, section II.B): for every class the squared distance of the
 * inputs from the class's code, which is fixed; here with a minus, so that the greatest output is
 * the best one, as everywhere. Goes with the loss `lenet5`. */
#include "base/memory.h"
#include "worker/layer.h"
#include "worker/layers/rbf_codes.h"

#include <string.h>

enum codes { CODES_DIGITS, CODES_RANDOM };
static const char *const codes_names[] = {"digits", "random", NULL};

struct rbf_options {
    const char *name;
    int64_t out;
    int codes;
};

static const struct option rbf_options[] = {{.name = "out",
                                                .type = OPTION_INTEGER,
                                                .offset = offsetof(struct rbf_options, out),
                                                .initial = "10",
                                                .low = 1,
                                                .high = 65536,
                                                .flags = OPTION_CHANGES_BITS,
                                                .help = "classes"},
    {.name = "codes",
        .type = OPTION_NAME,
        .offset = offsetof(struct rbf_options, codes),
        .initial = "digits",
        .flags = OPTION_CHANGES_BITS,
        .help = "what the inputs are compared with: digits of 7x12 pixels, or random signs",
        .names = codes_names},
    LAYER_NAME_OPTION, OPTIONS_END};

static status plan(struct layer *layer, const struct layer_plan *plan) {
    const struct rbf_options *o = layer->options;
    struct shape in = layer->input[0]->shape;
    (void)plan;
    if (in.height != 1 || in.width != 1) {
        LAYER_FAIL(layer, "it takes one pixel, not %dx%d", in.height, in.width);
    }
    if (o->codes == CODES_DIGITS &&
        (in.channels != RBF_WIDTH * RBF_HEIGHT || o->out > RBF_DIGITS)) {
        LAYER_FAIL(layer, "the digits are %d, of %d inputs, not %lld of %d", RBF_DIGITS,
            RBF_WIDTH * RBF_HEIGHT, (long long)o->out, in.channels);
    }
    layer->output[0]->shape = (struct shape){(int)o->out, 1, 1};
    layer->flags = LAYER_NEEDS_INPUT;
    float *codes; /* [classes][inputs] */
    TRY(MEMORY_ALLOCATE(&codes, (size_t)o->out * (size_t)in.channels));
    layer->state = codes;
    for (int k = 0; k < (int)o->out; k++) {
        for (int i = 0; i < in.channels; i++) {
            *codes++ = o->codes == CODES_DIGITS ? rbf_digit_code(k, i)
                                                : rbf_random_code(k, in.channels, i);
        }
    }
    return STATUS_OK;
}

/* Element c of a picture of one pixel. */
static float *element(const struct tensor *tensor, int n, int c) {
    return tensor_at(tensor, n, c / CHANNEL_BLOCK, 0, 0) + c % CHANNEL_BLOCK;
}

static void clear(const struct tensor *tensor, int n) {
    for (int b = 0; b < shape_blocks(tensor->shape.channels); b++) {
        memset(tensor_at(tensor, n, b, 0, 0), 0, CHANNEL_BLOCK * sizeof(float));
    }
}

static void forward(
    const struct layer *layer, const struct layer_run *run, const struct pass *pass) {
    const struct tensor *in = &layer->input[0]->activation, *out = &layer->output[0]->activation;
    int inputs = in->shape.channels;
#pragma omp parallel for num_threads(run->threads) schedule(static)
    for (int n = 0; n < pass->pictures; n++) {
        const float *code = layer->state;
        clear(out, n);
        for (int k = 0; k < out->shape.channels; k++, code += inputs) {
            double sum = 0;
            for (int i = 0; i < inputs; i++) {
                double away = (double)*element(in, n, i) - (double)code[i];
                sum += away * away;
            }
            *element(out, n, k) = (float)-sum;
        }
    }
}

static void backward(
    const struct layer *layer, const struct layer_run *run, const struct pass *pass) {
    const struct tensor *in = &layer->input[0]->activation, *dx = &layer->input[0]->gradient;
    const struct tensor *dy = &layer->output[0]->gradient;
    const float *codes = layer->state;
    int inputs = in->shape.channels;
#pragma omp parallel for num_threads(run->threads) schedule(static)
    for (int n = 0; n < (dx->data != NULL ? pass->pictures : 0); n++) {
        clear(dx, n);
        for (int i = 0; i < inputs; i++) {
            double sum = 0;
            for (int k = 0; k < dy->shape.channels; k++) {
                double away = (double)*element(in, n, i) - (double)codes[k * inputs + i];
                sum -= 2 * (double)*element(dy, n, k) * away;
            }
            *element(dx, n, i) = (float)sum;
        }
    }
}

const struct layer_operations layer_rbf = {
    .kind = {.name = "rbf",
        .help = "LeNet-5's output: minus the squared distance from each class's code",
        .options = rbf_options,
        .options_size = sizeof(struct rbf_options)},
    .plan = plan,
    .forward = forward,
    .backward = backward,
};
