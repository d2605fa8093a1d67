#include "support/convolution_case.h"

#include "base/memory.h"
#include "support/support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GUARD 64 /* floats on each side */

static const uint32_t guard_bits = 0x7fc0beefu; /* a NaN that nothing computes */

static float guard_value(void) {
    float value;
    memcpy(&value, &guard_bits, sizeof value);
    return value;
}

static bool is_guard(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits == guard_bits;
}

static void *must_allocate(size_t count, size_t size) {
    void *pointer = NULL;
    if (memory_allocate(&pointer, count, size) != STATUS_OK) {
        abort();
    }
    return pointer;
}

static void guarded_init(struct guarded *guarded, size_t count) {
    guarded->count = count;
    guarded->memory = must_allocate(count + 2 * GUARD, sizeof(float));
    guarded->values = guarded->memory + GUARD;
    for (size_t i = 0; i < count + 2 * GUARD; i++) {
        guarded->memory[i] = guard_value();
    }
}

/* Asserts the guards and frees. */
static void guarded_release(struct guarded *guarded) {
    bool intact = true;
    for (int i = 0; i < GUARD; i++) {
        intact = intact && is_guard(guarded->memory[i]) &&
                 is_guard(guarded->values[guarded->count + (size_t)i]);
    }
    CU_ASSERT(intact);
    free(guarded->memory);
}

static float random_value(enum case_values values) {
    if (values == CASE_WHOLE) {
        return (float)test_random_between(-3, 3);
    }
    if (values == CASE_WINOGRAD) {
        return (float)test_random_between(-1, 1);
    }
    return (float)((double)test_random() / 2147483648.0 - 1.0);
}

static float *random_values(size_t count, enum case_values values) {
    float *out = must_allocate(count, sizeof(float));
    for (size_t i = 0; i < count; i++) {
        out[i] = random_value(values);
    }
    return out;
}

void case_init(struct convolution_case *c, const struct convolution_shape *shape, int pictures,
    int leaves, enum case_values values) {
    memset(c, 0, sizeof *c);
    c->shape = *shape;
    CU_ASSERT_EQUAL_FATAL(convolution_output(&c->output_shape, shape), STATUS_OK);
    c->pictures = pictures;
    c->leaves = leaves;
    for (int l = 0; l <= leaves; l++) {
        c->leaf_start[l] = (int)tree_leaf_start(pictures, leaves, l);
    }
    case_cut(c, 0);
    c->weights_count = (size_t)shape->output_channels *
                       (size_t)(shape->input.channels / shape->groups) *
                       (size_t)shape->kernel_height * (size_t)shape->kernel_width;
    c->input_count = (size_t)pictures * shape_elements(shape->input);
    c->output_count = (size_t)pictures * shape_elements(c->output_shape);
    c->input = random_values(c->input_count, values);
    c->weights = random_values(c->weights_count, values);
    c->bias = random_values((size_t)shape->output_channels, values);
    c->input_bias = random_values((size_t)shape->input.channels, values);
    c->output_gradient = random_values(c->output_count, values);
    for (size_t i = 0; i < c->weights_count && values == CASE_WINOGRAD; i++) {
        c->weights[i] *= 576.0f;
    }
    for (size_t i = 0; i < c->output_count && values == CASE_WINOGRAD; i++) {
        c->output_gradient[i] *= 576.0f;
    }
    for (int i = 0; i < shape->input.channels && values == CASE_WINOGRAD; i++) {
        c->input_bias[i] *= 576.0f * 576.0f;
    }
    c->reference_output = must_allocate(c->output_count, sizeof(double));
    c->reference_input_gradient = must_allocate(c->input_count, sizeof(double));
    c->output_values = must_allocate(c->output_count, sizeof(float));
    c->input_gradient = must_allocate(c->input_count, sizeof(float));
    for (int s = 0; s < CASE_LEAVES; s++) {
        size_t channels = (size_t)shape->output_channels;
        c->reference_weights_gradient[s] = must_allocate(c->weights_count, sizeof(double));
        c->weights_gradient[s] = must_allocate(c->weights_count, sizeof(float));
        c->reference_bias_gradient[s] = must_allocate(channels, sizeof(double));
        c->bias_gradient[s] = must_allocate(channels, sizeof(float));
    }
}

void case_release(struct convolution_case *c) {
    free(c->input);
    free(c->weights);
    free(c->bias);
    free(c->input_bias);
    free(c->output_gradient);
    free(c->reference_output);
    free(c->reference_input_gradient);
    free(c->output_values);
    free(c->input_gradient);
    for (int s = 0; s < CASE_LEAVES; s++) {
        free(c->reference_weights_gradient[s]);
        free(c->reference_bias_gradient[s]);
        free(c->weights_gradient[s]);
        free(c->bias_gradient[s]);
    }
}

void case_cut(struct convolution_case *c, int limit) {
    struct subtree cover[CASE_LEAVES + TREE_SUBTREES_LIMIT];
    c->subtrees = tree_cover(cover, 0, c->leaves, limit);
    memcpy(c->subtree, cover, (size_t)c->subtrees * sizeof cover[0]);
}

void case_run_reference(struct convolution_case *c) {
    const struct convolution_shape *shape = &c->shape;
    struct shape in = shape->input, out = c->output_shape;
    int group_in = in.channels / shape->groups, group_out = out.channels / shape->groups;
    size_t plane = (size_t)in.height * (size_t)in.width;
    for (size_t i = 0; i < c->input_count; i++) {
        c->reference_input_gradient[i] = (double)c->input_bias[i / plane % (size_t)in.channels];
    }
    for (int s = 0; s < c->subtrees; s++) {
        memset(c->reference_weights_gradient[s], 0, c->weights_count * sizeof(double));
        memset(c->reference_bias_gradient[s], 0, (size_t)out.channels * sizeof(double));
    }
    size_t place = 0;
    for (int n = 0; n < c->pictures; n++) {
        int s = 0;
        while (n >= c->leaf_start[c->subtree[s].first + c->subtree[s].leaves]) {
            s++;
        }
        for (int o = 0; o < out.channels; o++) {
            for (int h = 0; h < out.height; h++) {
                for (int w = 0; w < out.width; w++, place++) {
                    double sum = (double)c->bias[o], gradient = (double)c->output_gradient[place];
                    size_t weight = (size_t)o * (size_t)group_in * (size_t)shape->kernel_height *
                                    (size_t)shape->kernel_width;
                    c->reference_bias_gradient[s][o] += gradient;
                    for (int i = 0; i < group_in; i++) {
                        int channel = o / group_out * group_in + i;
                        for (int kh = 0; kh < shape->kernel_height; kh++) {
                            for (int kw = 0; kw < shape->kernel_width; kw++, weight++) {
                                int y = h * shape->stride_height + kh * shape->dilation_height -
                                        shape->pad_height;
                                int x = w * shape->stride_width + kw * shape->dilation_width -
                                        shape->pad_width;
                                if (y < 0 || y >= in.height || x < 0 || x >= in.width) {
                                    continue;
                                }
                                size_t from = (((size_t)n * (size_t)in.channels + (size_t)channel) *
                                                      (size_t)in.height +
                                                  (size_t)y) *
                                                  (size_t)in.width +
                                              (size_t)x;
                                sum += (double)c->input[from] * (double)c->weights[weight];
                                c->reference_input_gradient[from] +=
                                    gradient * (double)c->weights[weight];
                                c->reference_weights_gradient[s][weight] +=
                                    gradient * (double)c->input[from];
                            }
                        }
                    }
                    c->reference_output[place] = sum;
                }
            }
        }
    }
}

/* A tensor in guarded memory; its border a little larger than asked for at times, as when two
 * layers read it. */
static void place_tensor(struct tensor *tensor, struct guarded *memory, struct shape shape,
    int border_height, int border_width, int pictures) {
    tensor_init(tensor, shape, border_height, border_width, pictures);
    guarded_init(memory, tensor_bytes(tensor) / sizeof(float));
    tensor_place(tensor, memory->values);
}

/* Asserts that every lane inside was written, padding with zero, and nothing outside. */
static void assert_written(const struct tensor *tensor, int pictures) {
    int channels = tensor->shape.channels, height = tensor->shape.height;
    int width = tensor->shape.width, wrong = 0;
    for (int n = 0; n < pictures; n++) {
        for (int c = 0; c < shape_blocks(channels) * CHANNEL_BLOCK; c++) {
            for (int h = -tensor->border_height; h < height + tensor->border_height; h++) {
                for (int w = -tensor->border_width; w < width + tensor->border_width; w++) {
                    float value = tensor_at(tensor, n, c / CHANNEL_BLOCK, h, w)[c % CHANNEL_BLOCK];
                    bool inside = h >= 0 && h < height && w >= 0 && w < width;
                    bool right = !inside         ? is_guard(value)
                                 : c >= channels ? value == 0.0f
                                                 : isfinite(value);
                    wrong += !right;
                }
            }
        }
    }
    CU_ASSERT_EQUAL(wrong, 0);
}

/* Asserts that elements of a packed gradient that stand for nothing are zero: packing the
 * unpacked gives it back. */
static void assert_packed(const float *packed, const float *standard, size_t size,
    const struct convolution *convolution) {
    float *again = must_allocate(size, sizeof(float));
    convolution_pack(again, standard, convolution);
    int wrong = 0;
    for (size_t i = 0; i < size; i++) {
        wrong += !(again[i] == packed[i]);
    }
    CU_ASSERT_EQUAL(wrong, 0);
    free(again);
}

static void run_weights(struct convolution_case *c, const struct convolution *convolution,
    const struct tensor *input, const struct tensor *output_gradient, void *scratch) {
    size_t size = convolution_packed_size(convolution);
    size_t channels = (size_t)shape_blocks(c->output_shape.channels) * CHANNEL_BLOCK;
    struct guarded weights[CASE_LEAVES], bias[CASE_LEAVES];
    float *weights_gradient[CASE_LEAVES], *bias_gradient[CASE_LEAVES];
    for (int s = 0; s < c->subtrees; s++) {
        guarded_init(&weights[s], size);
        guarded_init(&bias[s], channels);
        weights_gradient[s] = weights[s].values;
        bias_gradient[s] = bias[s].values;
    }
    struct pass pass = {
        .training = true,
        .pictures = c->pictures,
        .leaves = c->leaves,
        .leaf_start = c->leaf_start,
        .subtrees = c->subtrees,
        .subtree = c->subtree,
    };
    convolution_backward_weights(
        weights_gradient, input, output_gradient, &pass, convolution, scratch);
    convolution_backward_bias(bias_gradient, output_gradient, &pass, convolution, scratch);
    for (int s = 0; s < c->subtrees; s++) {
        convolution_unpack(c->weights_gradient[s], weights_gradient[s], convolution);
        assert_packed(weights_gradient[s], c->weights_gradient[s], size, convolution);
        memcpy(c->bias_gradient[s], bias_gradient[s],
            (size_t)c->output_shape.channels * sizeof(float));
        guarded_release(&weights[s]);
        guarded_release(&bias[s]);
    }
}

/* What an epilogue was given: how often each row, and the rows as they then were. */
struct seen {
    struct epilogue epilogue;
    const struct tensor *result;
    int pictures;
    int *times;  /* [picture][block][row] */
    float *copy; /* [picture][block][row][width][16] */
};

static ptrdiff_t row_number(const struct seen *seen, int picture, int block, int row) {
    struct shape shape = seen->result->shape;
    return ((ptrdiff_t)picture * shape_blocks(shape.channels) + block) * shape.height + row;
}

static void see(const struct epilogue *epilogue, const struct epilogue_run *run) {
    const struct seen *seen = (const struct seen *)(const void *)epilogue;
    struct shape shape = seen->result->shape;
    struct epilogue_run right = epilogue_run_at(shape, run->picture, run->block, run->row);
    bool whole = run->row % epilogue_rows(shape) == 0 && run->rows == right.rows;
    for (int h = run->row; h < run->row + run->rows; h++) {
        ptrdiff_t number = row_number(seen, run->picture, run->block, h);
        size_t count = (size_t)shape.width * CHANNEL_BLOCK;
        __atomic_add_fetch(&seen->times[number], whole ? 1 : 2, __ATOMIC_RELAXED);
        memcpy(seen->copy + number * (ptrdiff_t)count,
            tensor_at(seen->result, run->picture, run->block, h, 0), count * sizeof(float));
    }
}

static void seen_init(struct seen *seen, const struct tensor *result, int pictures) {
    *seen = (struct seen){.epilogue = {.run = see, .read = {result}, .reads = 1},
        .result = result,
        .pictures = pictures};
    size_t rows = (size_t)row_number(seen, pictures, 0, 0) + 1;
    seen->times = must_allocate(rows, sizeof *seen->times);
    seen->copy =
        must_allocate(rows * (size_t)result->shape.width, CHANNEL_BLOCK * sizeof *seen->copy);
}

/* Asserts that every row was seen once, as it is now, in a whole run; frees. */
static void seen_assert(struct seen *seen) {
    struct shape shape = seen->result->shape;
    size_t bytes = (size_t)shape.width * CHANNEL_BLOCK * sizeof(float);
    int wrong = 0;
    for (int n = 0; n < seen->pictures; n++) {
        for (int b = 0; b < shape_blocks(shape.channels); b++) {
            for (int h = 0; h < shape.height; h++) {
                ptrdiff_t number = row_number(seen, n, b, h);
                wrong += seen->times[number] != 1 ||
                         memcmp((char *)seen->copy + number * (ptrdiff_t)bytes,
                             tensor_at(seen->result, n, b, h, 0), bytes) != 0;
            }
        }
    }
    CU_ASSERT_EQUAL(wrong, 0);
    free(seen->times);
    free(seen->copy);
}

void case_run_engine(
    struct convolution_case *c, enum cpu_isa isa, enum engine_kernels engine, int threads) {
    struct convolution *convolution = NULL;
    CU_ASSERT_EQUAL_FATAL(convolution_create(&convolution, &c->shape, kernels_get(isa), engine,
                              c->winograd, threads, c->pictures, c->leaves),
        STATUS_OK);
    c->was_winograd = convolution_is_winograd(convolution);
    int input_height, input_width, gradient_height, gradient_width;
    convolution_input_border(&input_height, &input_width, convolution);
    convolution_gradient_border(&gradient_height, &gradient_width, convolution);
    struct tensor input, output, input_gradient, output_gradient;
    struct guarded memory[4], scratch, packed, bias, input_bias;
    int wider = c->pictures % 2; /* a border that nobody asked for */
    place_tensor(
        &input, &memory[0], c->shape.input, input_height + wider, input_width, c->pictures);
    place_tensor(&output, &memory[1], c->output_shape, wider, 0, c->pictures);
    place_tensor(&input_gradient, &memory[2], c->shape.input, 0, wider, c->pictures);
    place_tensor(&output_gradient, &memory[3], c->output_shape, gradient_height,
        gradient_width + wider, c->pictures);
    guarded_init(&scratch, convolution_scratch_bytes(convolution) / sizeof(float));
    guarded_init(&packed, convolution_packed_size(convolution));
    guarded_init(&bias, (size_t)shape_blocks(c->output_shape.channels) * CHANNEL_BLOCK);
    memset(bias.values, 0, bias.count * sizeof(float));
    memcpy(bias.values, c->bias, (size_t)c->output_shape.channels * sizeof(float));
    guarded_init(&input_bias, (size_t)shape_blocks(c->shape.input.channels) * CHANNEL_BLOCK);
    memset(input_bias.values, 0, input_bias.count * sizeof(float));
    memcpy(input_bias.values, c->input_bias, (size_t)c->shape.input.channels * sizeof(float));
    convolution_pack(packed.values, c->weights, convolution);
    tensor_load_planar(&input, c->input, c->pictures);
    tensor_load_planar(&output_gradient, c->output_gradient, c->pictures);

    struct seen seen;
    seen_init(&seen, &output, c->pictures);
    convolution_forward(&output, &input, packed.values, bias.values, c->pictures, convolution,
        &seen.epilogue, scratch.values);
    seen_assert(&seen);
    seen_init(&seen, &input_gradient, c->pictures);
    convolution_backward_data(&input_gradient, &output_gradient, packed.values, input_bias.values,
        c->pictures, convolution, &seen.epilogue, scratch.values);
    seen_assert(&seen);
    run_weights(c, convolution, &input, &output_gradient, scratch.values);
    assert_written(&output, c->pictures);
    assert_written(&input_gradient, c->pictures);
    tensor_store_planar(c->output_values, &output, c->pictures);
    tensor_store_planar(c->input_gradient, &input_gradient, c->pictures);

    for (int i = 0; i < 4; i++) {
        guarded_release(&memory[i]);
    }
    guarded_release(&scratch);
    guarded_release(&packed);
    guarded_release(&bias);
    guarded_release(&input_bias);
    convolution_destroy(convolution);
}

static void print_shape(const struct convolution_case *c, const char *what) {
    const struct convolution_shape *s = &c->shape;
    printf("\n  %s: %dx%dx%d -> %d, kernel %dx%d, stride %dx%d, pad %dx%d, dilation %dx%d, groups "
           "%d, %d pictures, %d leaves",
        what, s->input.channels, s->input.height, s->input.width, s->output_channels,
        s->kernel_height, s->kernel_width, s->stride_height, s->stride_width, s->pad_height,
        s->pad_width, s->dilation_height, s->dilation_width, s->groups, c->pictures, c->leaves);
}

static bool assert_near(const struct convolution_case *c, const double *reference,
    const float *values, size_t count, double tolerance, const char *what, const char *which) {
    double square = 0.0, worst = 0.0;
    for (size_t i = 0; i < count; i++) {
        double error = fabs((double)values[i] - reference[i]);
        square += reference[i] * reference[i];
        worst = error > worst || isnan(error) ? error : worst;
    }
    double limit = count > 0 ? tolerance * sqrt(square / (double)count) : 0.0;
    bool right = worst <= limit;
    if (!right) {
        print_shape(c, what);
        printf(": %s is off by %g, limit %g\n", which, worst, limit);
    }
    CU_ASSERT(right);
    return right;
}

bool case_assert_equal(const struct convolution_case *c, double tolerance, const char *what) {
    bool right = assert_near(
        c, c->reference_output, c->output_values, c->output_count, tolerance, what, "forward");
    right &= assert_near(c, c->reference_input_gradient, c->input_gradient, c->input_count,
        tolerance, what, "backward-data");
    for (int s = 0; s < c->subtrees; s++) {
        right &= assert_near(c, c->reference_weights_gradient[s], c->weights_gradient[s],
            c->weights_count, tolerance, what, "backward-weights");
        right &= assert_near(c, c->reference_bias_gradient[s], c->bias_gradient[s],
            (size_t)c->output_shape.channels, tolerance, what, "backward-bias");
    }
    return right;
}

/* The root mean square of what is off, in that of what should be. */
static double error_of(const double *reference, const float *values, size_t count) {
    double square = 0.0, error = 0.0;
    for (size_t i = 0; i < count; i++) {
        double off = (double)values[i] - reference[i];
        square += reference[i] * reference[i];
        error += off * off;
    }
    return square > 0.0 ? sqrt(error / square) : 0.0;
}

void case_errors(double errors[CASE_DIRECTIONS], const struct convolution_case *c) {
    errors[0] = error_of(c->reference_output, c->output_values, c->output_count);
    errors[1] = error_of(c->reference_input_gradient, c->input_gradient, c->input_count);
    errors[2] =
        error_of(c->reference_weights_gradient[0], c->weights_gradient[0], c->weights_count);
}

/* Leaves [first, first + leaves) of `whole` as a pass of their own. */
static void init_part(
    struct convolution_case *part, const struct convolution_case *whole, int first, int leaves) {
    int picture = whole->leaf_start[first];
    case_init(part, &whole->shape, whole->leaf_start[first + leaves] - picture, leaves, CASE_REAL);
    part->winograd = whole->winograd;
    for (int l = 0; l <= leaves; l++) {
        part->leaf_start[l] = whole->leaf_start[first + l] - picture;
    }
    size_t input = shape_elements(whole->shape.input);
    size_t output = shape_elements(whole->output_shape);
    memcpy(part->input, whole->input + (size_t)picture * input, part->input_count * sizeof(float));
    memcpy(part->output_gradient, whole->output_gradient + (size_t)picture * output,
        part->output_count * sizeof(float));
    memcpy(part->weights, whole->weights, whole->weights_count * sizeof(float));
    memcpy(part->bias, whole->bias, (size_t)whole->shape.output_channels * sizeof(float));
    memcpy(
        part->input_bias, whole->input_bias, (size_t)whole->shape.input.channels * sizeof(float));
}

static bool same(const float *a, const float *b, size_t count) {
    return memcmp(a, b, count * sizeof(float)) == 0;
}

void case_assert_halves_equal(const struct convolution_case *whole, enum cpu_isa isa) {
    struct convolution_case half[2];
    size_t input = 0, output = 0;
    for (int h = 0; h < 2; h++) {
        init_part(&half[h], whole, h * whole->leaves / 2, whole->leaves / 2);
        case_run_engine(&half[h], isa, ENGINE_CONVOY, 1);
        CU_ASSERT(same(half[h].output_values, whole->output_values + output, half[h].output_count));
        CU_ASSERT(same(half[h].input_gradient, whole->input_gradient + input, half[h].input_count));
        input += half[h].input_count;
        output += half[h].output_count;
    }
    CU_ASSERT_EQUAL(input, whole->input_count);
    for (size_t i = 0; i < whole->weights_count; i++) {
        float sum = half[0].weights_gradient[0][i];
        sum = half[1].pictures > 0 ? sum + half[1].weights_gradient[0][i] : sum;
        CU_ASSERT(same(&sum, &whole->weights_gradient[0][i], 1));
    }
    for (int o = 0; o < whole->shape.output_channels; o++) {
        float sum = half[0].bias_gradient[0][o];
        sum = half[1].pictures > 0 ? sum + half[1].bias_gradient[0][o] : sum;
        CU_ASSERT(same(&sum, &whole->bias_gradient[0][o], 1));
    }
    case_release(&half[0]);
    case_release(&half[1]);
}

static uint64_t digest_floats(uint64_t digest, const float *values, size_t count) {
    for (size_t i = 0; i < count; i++) { /* FNV-1a over words */
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof bits);
        digest = (digest ^ bits) * 0x100000001b3u;
    }
    return digest;
}

uint64_t case_digest(const struct convolution_case *c) {
    uint64_t digest = 0xcbf29ce484222325u;
    digest = digest_floats(digest, c->output_values, c->output_count);
    digest = digest_floats(digest, c->input_gradient, c->input_count);
    for (int s = 0; s < c->subtrees; s++) {
        digest = digest_floats(digest, c->weights_gradient[s], c->weights_count);
        digest = digest_floats(digest, c->bias_gradient[s], (size_t)c->output_shape.channels);
    }
    return digest;
}

int case_count(int count) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    return count / 5;
#else
    return count;
#endif
}

struct convolution_shape case_random_shape(void) {
    struct convolution_shape shape;
    struct shape output;
    do {
        int group_in = test_random_between(1, 40), group_out = test_random_between(1, 40);
        int kind = test_random_between(0, 5);
        shape = (struct convolution_shape){
            .input = {group_in, test_random_between(1, 20), test_random_between(1, 20)},
            .output_channels = group_out,
            .kernel_height = test_random_between(1, 5),
            .kernel_width = test_random_between(1, 5),
            .stride_height = test_random_between(1, 3),
            .stride_width = test_random_between(1, 3),
            .pad_height = test_random_between(0, 4),
            .pad_width = test_random_between(0, 4),
            .dilation_height = kind == 1 ? test_random_between(1, 3) : 1,
            .dilation_width = kind == 1 ? test_random_between(1, 3) : 1,
            .groups = 1,
        };
        if (kind == 2) { /* groups that cut blocks, and ones that do not */
            shape.groups = test_random_between(2, 4);
            group_in = test_random_between(0, 1) ? 16 : test_random_between(1, 12);
            group_out = test_random_between(0, 1) ? 16 : test_random_between(1, 12);
        } else if (kind == 3) { /* depthwise */
            shape.groups = test_random_between(1, 40);
            group_in = 1;
            group_out = test_random_between(1, 2);
        } else if (kind == 4) { /* the kernel covers the picture, as in a linear layer */
            shape.kernel_height = shape.input.height = test_random_between(1, 4);
            shape.kernel_width = shape.input.width = test_random_between(1, 4);
            shape.pad_height = shape.pad_width = 0;
        }
        shape.input.channels = group_in * shape.groups;
        shape.output_channels = group_out * shape.groups;
    } while (convolution_output(&output, &shape) != STATUS_OK);
    return shape;
}
