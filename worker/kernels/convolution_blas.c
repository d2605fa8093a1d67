/* The engine on OpenBLAS: im2col and matrix products, in standard order (Chellapilla, Puri and
 * Simard, "High performance convolutional neural networks for document processing", 2006). It
 * serves processors for which we have no kernel, and checks the ones we have. The leaf tree is
 * kept, each leaf a sum over its pictures in order; how OpenBLAS sums inside a picture is its own
 * affair.
 */
#include "base/cpu.h"
#include "worker/kernels/convolution_plan.h"

#include <cblas.h>
#include <omp.h>
#include <string.h>

/* Output channels a product: fixed, so that the number of threads changes no product. */
#define CHUNK 32

struct sizes {
    int groups, in, out;          /* channels of one group */
    int taps;                     /* kernel height * width */
    int terms;                    /* in * taps: terms of one output's sum */
    int pixels;                   /* of one output channel */
    size_t weights;               /* floats */
    size_t column, input, output; /* floats of one picture: im2col of a group, input, output */
};

static struct sizes sizes_of(const struct convolution *c) {
    struct sizes sizes = {
        .groups = c->shape.groups,
        .in = c->shape.input.channels / c->shape.groups,
        .out = c->shape.output_channels / c->shape.groups,
        .taps = c->height.kernel * c->width.kernel,
        .pixels = c->height.output * c->width.output,
    };
    sizes.terms = sizes.in * sizes.taps;
    sizes.weights = (size_t)c->shape.output_channels * (size_t)sizes.terms;
    sizes.column = (size_t)sizes.terms * (size_t)sizes.pixels;
    sizes.input = shape_elements(c->shape.input);
    sizes.output = (size_t)c->shape.output_channels * (size_t)sizes.pixels;
    return sizes;
}

static int slots_of(const struct convolution *c) {
    int slots = 2;
    for (int leaves = 1; leaves < c->leaves; leaves *= 2) {
        slots++;
    }
    return slots;
}

static size_t thread_floats(const struct sizes *sizes) {
    return sizes->column + sizes->input + sizes->output;
}

size_t convolution_blas_scratch(const struct convolution *convolution) {
    struct sizes sizes = sizes_of(convolution);
    size_t products = sizes.weights + (size_t)convolution->threads * thread_floats(&sizes);
    size_t folds = (size_t)slots_of(convolution) * sizes.weights + sizes.column + sizes.output;
    return convolution_align((products > folds ? products : folds) * sizeof(float));
}

/* A tensor that is one picture of another. */
static struct tensor picture_of(const struct tensor *tensor, int picture) {
    struct tensor one = *tensor;
    one.data = tensor_at(tensor, picture, 0, 0, 0);
    return one;
}

/* Channel `channel` (of the whole input) of one picture: column[taps][pixels]. */
static void to_column(
    float *column, const struct tensor *input, int channel, const struct convolution *c) {
    for (int kh = 0; kh < c->height.kernel; kh++) {
        for (int kw = 0; kw < c->width.kernel; kw++) {
            for (int h = 0; h < c->height.output; h++) {
                const float *from =
                    tensor_at(input, 0, channel / CHANNEL_BLOCK,
                        h * c->height.stride + kh * c->height.dilation - c->height.pad,
                        kw * c->width.dilation - c->width.pad) +
                    channel % CHANNEL_BLOCK;
                for (int w = 0; w < c->width.output; w++) {
                    *column++ = from[(ptrdiff_t)w * c->width.stride * CHANNEL_BLOCK];
                }
            }
        }
    }
}

/* The transpose: adds column[taps][pixels] into plane[height][width] of an input channel. */
static void from_column(float *plane, const float *column, const struct convolution *c) {
    for (int kh = 0; kh < c->height.kernel; kh++) {
        for (int kw = 0; kw < c->width.kernel; kw++) {
            for (int h = 0; h < c->height.output; h++) {
                int y = h * c->height.stride + kh * c->height.dilation - c->height.pad;
                for (int w = 0; w < c->width.output; w++, column++) {
                    int x = w * c->width.stride + kw * c->width.dilation - c->width.pad;
                    if (y >= 0 && y < c->height.input && x >= 0 && x < c->width.input) {
                        plane[(ptrdiff_t)y * c->width.input + x] += *column;
                    }
                }
            }
        }
    }
}

/* Writes planar[channels][height][width] into one picture, padding lanes too, plus bias. */
static void store_picture(const struct tensor *picture, const float *planar, const float *bias) {
    struct shape shape = picture->shape;
    for (int ch = 0; ch < shape_blocks(shape.channels) * CHANNEL_BLOCK; ch++) {
        bool exists = ch < shape.channels;
        float shift = exists && bias != NULL ? bias[ch] : 0.0f;
        for (int h = 0; h < shape.height; h++) {
            float *to = tensor_at(picture, 0, ch / CHANNEL_BLOCK, h, 0) + ch % CHANNEL_BLOCK;
            for (int w = 0; w < shape.width; w++) {
                to[w * CHANNEL_BLOCK] = exists ? *planar++ + shift : 0.0f;
            }
        }
    }
}

void convolution_blas_forward(const struct tensor *output, const struct tensor *input,
    const float *weights, const float *bias, int pictures, const struct convolution *convolution,
    void *scratch) {
    const struct convolution *c = convolution;
    struct sizes s = sizes_of(c);
    float *standard = scratch;
    openblas_set_num_threads(1);
    convolution_unpack(standard, weights, c);
#pragma omp parallel for num_threads(c->threads) schedule(static)
    for (int p = 0; p < pictures; p++) {
        cpu_flush_denormals();
        float *column = standard + s.weights + (size_t)omp_get_thread_num() * thread_floats(&s);
        float *planar = column + s.column;
        struct tensor from = picture_of(input, p), to = picture_of(output, p);
        for (int g = 0; g < s.groups; g++) {
            for (int i = 0; i < s.in; i++) {
                to_column(
                    column + (size_t)i * (size_t)s.taps * (size_t)s.pixels, &from, g * s.in + i, c);
            }
            cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, s.out, s.pixels, s.terms, 1.0f,
                standard + (size_t)g * (size_t)s.out * (size_t)s.terms, s.terms, column, s.pixels,
                0.0f, planar + (size_t)g * (size_t)s.out * (size_t)s.pixels, s.pixels);
        }
        store_picture(&to, planar, bias);
    }
}

void convolution_blas_backward_data(const struct tensor *input_gradient,
    const struct tensor *output_gradient, const float *weights, const float *bias, int pictures,
    const struct convolution *convolution, void *scratch) {
    const struct convolution *c = convolution;
    struct sizes s = sizes_of(c);
    size_t plane = (size_t)c->height.input * (size_t)c->width.input;
    float *standard = scratch;
    openblas_set_num_threads(1);
    convolution_unpack(standard, weights, c);
#pragma omp parallel for num_threads(c->threads) schedule(static)
    for (int p = 0; p < pictures; p++) {
        cpu_flush_denormals();
        float *column = standard + s.weights + (size_t)omp_get_thread_num() * thread_floats(&s);
        float *planar = column + s.column, *planes = planar + s.output;
        struct tensor from = picture_of(output_gradient, p), to = picture_of(input_gradient, p);
        tensor_store_planar(planar, &from, 1);
        memset(planes, 0, s.input * sizeof(float));
        for (int g = 0; g < s.groups; g++) {
            cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, s.terms, s.pixels, s.out, 1.0f,
                standard + (size_t)g * (size_t)s.out * (size_t)s.terms, s.terms,
                planar + (size_t)g * (size_t)s.out * (size_t)s.pixels, s.pixels, 0.0f, column,
                s.pixels);
            for (int i = 0; i < s.in; i++) {
                from_column(planes + (size_t)(g * s.in + i) * plane,
                    column + (size_t)i * (size_t)s.taps * (size_t)s.pixels, c);
            }
        }
        store_picture(&to, planes, bias);
    }
}

/* sum (standard order) = or += the products of one picture. */
static void sum_picture(float *sum, bool add, const struct tensor *input,
    const struct tensor *gradient, int picture, const struct convolution *c, float *column,
    float *planar) {
    struct sizes s = sizes_of(c);
    struct tensor from = picture_of(input, picture), by = picture_of(gradient, picture);
    int chunks = (s.out + CHUNK - 1) / CHUNK;
    tensor_store_planar(planar, &by, 1);
    for (int g = 0; g < s.groups; g++) {
#pragma omp parallel num_threads(c->threads)
        {
            cpu_flush_denormals();
#pragma omp for schedule(static)
            for (int i = 0; i < s.in; i++) {
                to_column(
                    column + (size_t)i * (size_t)s.taps * (size_t)s.pixels, &from, g * s.in + i, c);
            }
#pragma omp for schedule(static)
            for (int chunk = 0; chunk < chunks; chunk++) {
                int first = chunk * CHUNK, o = g * s.out + first;
                int count = s.out - first < CHUNK ? s.out - first : CHUNK;
                cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, count, s.terms, s.pixels, 1.0f,
                    planar + (size_t)o * (size_t)s.pixels, s.pixels, column, s.pixels,
                    add ? 1.0f : 0.0f, sum + (size_t)o * (size_t)s.terms, s.terms);
            }
        }
    }
}

void convolution_blas_backward_weights(float *const *gradient, const struct tensor *input,
    const struct tensor *output_gradient, const struct pass *pass,
    const struct convolution *convolution, void *scratch) {
    const struct convolution *c = convolution;
    struct sizes s = sizes_of(c);
    float *slots = scratch, *column = slots + (size_t)slots_of(c) * s.weights;
    float *planar = column + s.column;
    openblas_set_num_threads(1);
    for (int number = 0; number < pass->subtrees; number++) {
        struct subtree subtree = pass->subtree[number];
        struct tree_counter counter = {0};
        bool empty[TREE_SUBTREES_LIMIT];
        for (int leaf = 0; leaf < subtree.leaves; leaf++) {
            const int *start = pass->leaf_start + subtree.first + leaf;
            int into, from, slot = tree_counter_push(&counter, (struct subtree){leaf, 1});
            empty[slot] = start[0] == start[1];
            for (int p = start[0]; p < start[1]; p++) {
                sum_picture(slots + (size_t)slot * s.weights, p > start[0], input, output_gradient,
                    p, c, column, planar);
            }
            while (tree_counter_merge(&counter, &into, &from)) {
                float *left = slots + (size_t)into * s.weights;
                const float *right = slots + (size_t)from * s.weights;
                if (!empty[from] && empty[into]) {
                    memcpy(left, right, s.weights * sizeof(float));
                    empty[into] = false;
                } else if (!empty[from]) {
                    c->kernels->elementwise.add(left, right, s.weights);
                }
            }
        }
        if (empty[0]) {
            memset(gradient[number], 0, c->packed * sizeof(float));
        } else {
            convolution_pack(gradient[number], slots, c);
        }
    }
}
