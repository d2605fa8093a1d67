#include "layer_case.h"

#include <stdio.h>

/* The next piece of the arena. Called once without memory to measure, once to place. */
static void *take(struct layer_case *own, size_t bytes) {
    void *piece = own->arena.base != NULL ? own->arena.base + own->used : NULL;
    own->used += (bytes + MEMORY_ALIGNMENT - 1) / MEMORY_ALIGNMENT * MEMORY_ALIGNMENT;
    return piece;
}

static void place(struct layer_case *own, struct tensor *tensor, struct shape shape,
    int border_height, int border_width, int pictures) {
    tensor_init(tensor, shape, border_height, border_width, pictures);
    void *memory = take(own, tensor_bytes(tensor));
    if (memory != NULL) {
        tensor_place(tensor, memory);
    }
}

static void fill(const struct tensor *tensor) {
    struct shape shape = tensor->shape;
    for (int n = 0; n < tensor->pictures; n++) {
        for (int b = 0; b < shape_blocks(shape.channels); b++) {
            for (int h = 0; h < shape.height; h++) {
                float *row = tensor_at(tensor, n, b, h, 0);
                for (int i = 0; i < shape.width * CHANNEL_BLOCK; i++) {
                    bool exists = b * CHANNEL_BLOCK + i % CHANNEL_BLOCK < shape.channels;
                    row[i] = exists ? 0.01f * (float)((n + h + i) % 17 - 8) : 0.0f;
                }
            }
        }
    }
}

static void plan(struct layer_case *own, const struct convolution_shape *shape, struct shape output,
    int pictures) {
    int height, width;
    size_t packed = convolution_packed_size(own->convolution);
    own->used = 0;
    convolution_input_border(&height, &width, own->convolution);
    place(own, &own->input, shape->input, height, width, pictures);
    place(own, &own->input_gradient, shape->input, 0, 0, pictures);
    convolution_gradient_border(&height, &width, own->convolution);
    place(own, &own->output, output, 0, 0, pictures);
    place(own, &own->output_gradient, output, height, width, pictures);
    own->weights = take(own, packed * sizeof(float));
    own->gradient = take(own, packed * sizeof(float));
    own->scratch = take(own, convolution_scratch_bytes(own->convolution));
}

status layer_case_init(struct layer_case *own, const struct convolution_shape *shape, int pictures,
    const struct kernels *kernels, enum engine_winograd winograd, int threads) {
    *own = (struct layer_case){0};
    struct shape output;
    TRY(convolution_output(&output, shape));
    TRY(convolution_create(
        &own->convolution, shape, kernels, ENGINE_CONVOY, winograd, threads, pictures, 2));
    plan(own, shape, output, pictures);
    TRY(arena_init(&own->arena, own->used, threads));
    plan(own, shape, output, pictures);
    fill(&own->input);
    fill(&own->output_gradient);
    for (size_t i = 0; i < convolution_packed_size(own->convolution); i++) {
        own->weights[i] = 0.01f * (float)(i % 13);
    }
    own->gradients[0] = own->gradient;
    own->leaf_start[1] = (pictures + 1) / 2;
    own->leaf_start[2] = pictures;
    own->subtree = (struct subtree){0, 2};
    own->pass = (struct pass){
        .training = true,
        .pictures = pictures,
        .leaves = 2,
        .leaf_start = own->leaf_start,
        .subtrees = 1,
        .subtree = &own->subtree,
        .gradient = own->gradients,
    };
    return STATUS_OK;
}

void layer_case_release(struct layer_case *own) {
    arena_release(&own->arena);
    if (own->convolution != NULL) {
        convolution_destroy(own->convolution);
    }
}

void layer_case_run(struct layer_case *own, enum direction direction) {
    const int pictures = own->pass.pictures;
    switch (direction) {
    case FORWARD:
        convolution_forward(&own->output, &own->input, own->weights, NULL, pictures,
            own->convolution, NULL, own->scratch);
        break;
    case BACKWARD_DATA:
        convolution_backward_data(&own->input_gradient, &own->output_gradient, own->weights, NULL,
            pictures, own->convolution, NULL, own->scratch);
        break;
    default:
        convolution_backward_weights(own->gradients, &own->input, &own->output_gradient, &own->pass,
            own->convolution, own->scratch);
    }
}

status layer_line_read(bool *read, struct layer_line *line) {
    static int number = 0; /* of the line */
    enum { WANTED = 15 };
    char text[256];
    int first;
    struct convolution_shape *s = &line->shape;
    *read = fgets(text, sizeof text, stdin) != NULL;
    if (!*read) {
        return STATUS_OK;
    }
    number++;
    *line = (struct layer_line){0};
    int count = sscanf(text, "%d%d%d%d%d%d%d%d%d%d%d%d%d%d%d", &s->input.channels, &s->input.height,
        &s->input.width, &s->output_channels, &s->kernel_height, &s->kernel_width,
        &s->stride_height, &s->stride_width, &s->pad_height, &s->pad_width, &s->dilation_height,
        &s->dilation_width, &s->groups, &line->pictures, &first);
    if (count != WANTED) {
        FAIL(STATUS_INPUT, "standard input:%d: %d numbers in place of %d", number,
            count > 0 ? count : 0, WANTED);
    }
    line->first = first != 0;
    return STATUS_OK;
}
