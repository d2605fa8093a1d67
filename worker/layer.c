#include "worker/layer.h"

#include "worker/graph.h"
#include "worker/kernels/epilogue.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#define CHANNELS_LIMIT (1 << 24) /* the sum over the inputs of a layer is an int, too */

status layer_check_output(const struct layer *layer) {
    for (int o = 0; o < layer->outputs; o++) {
        struct shape shape = layer->output[o]->shape;
        if (shape.channels > CHANNELS_LIMIT || !shape_fits(shape)) {
            LAYER_FAIL(layer,
                "its output of %dx%dx%d is too large: at most 2^24 channels, and less than 2^31 "
                "elements in blocks of %d channels",
                shape.channels, shape.height, shape.width, CHANNEL_BLOCK);
        }
    }
    return STATUS_OK;
}

status layer_refuse_beside(
    const struct layer *layer, const char *option, const char *const *others) {
    for (; *others != NULL; others++) {
        const struct node *given = node_get(layer->node, *others);
        if (given != NULL && given->kind != NODE_NULL) {
            FAIL_AT(given, STATUS_USAGE, "layer %s: %s has no meaning beside %s", layer->name,
                *others, option);
        }
    }
    return STATUS_OK;
}

static status checked_elements(
    int64_t *elements, const struct layer *layer, const struct parameter_declaration *declaration) {
    *elements = 1;
    for (int i = 0; i < declaration->dimensions; i++) {
        if (__builtin_mul_overflow(*elements, declaration->dimension[i], elements) ||
            *elements > INT32_MAX) {
            LAYER_FAIL(layer, "its %s would have more than 2^31 elements", declaration->suffix);
        }
    }
    return STATUS_OK;
}

status layer_declare(struct layer *layer, const struct parameter_declaration *declaration) {
    assert(layer->parameters < LAYER_PARAMETERS);
    int64_t elements;
    TRY(checked_elements(&elements, layer, declaration));
    size_t packed = declaration->packed;
    if (packed == 0) {
        packed = ((size_t)elements + CHANNEL_BLOCK - 1) / CHANNEL_BLOCK * CHANNEL_BLOCK;
    }
    struct graph_parameter *out;
    TRY(graph_add_parameter(layer->graph, &out));
    size_t size = strlen(layer->name) + strlen(declaration->suffix) + 2;
    char *name;
    TRY(pool_take(&layer->graph->pool, (void **)&name, size, 1));
    snprintf(name, size, "%s.%s", layer->name, declaration->suffix);
    out->parameter = (struct parameter){
        .name = name,
        .kind = declaration->kind,
        .dimensions = declaration->dimensions,
        .elements = elements,
        .packed = packed,
        .layer = layer->number,
        .momentum = declaration->momentum,
        .pack = declaration->pack,
        .unpack = declaration->unpack,
        .packing = declaration->packing,
    };
    memcpy(out->parameter.dimension, declaration->dimension, sizeof declaration->dimension);
    out->initialise = declaration->initialise;
    out->constant = declaration->constant;
    out->fan_in = declaration->fan_in;
    out->fan_out = declaration->fan_out;
    layer->parameter[layer->parameters++] = &out->parameter;
    return STATUS_OK;
}

float *layer_weights(const struct layer *layer, const struct layer_run *run, int index) {
    return run->weights + layer->parameter[index]->offset;
}

void layer_gradients(float *out[TREE_SUBTREES_LIMIT], const struct layer *layer,
    const struct pass *pass, int index) {
    assert(pass->subtrees <= TREE_SUBTREES_LIMIT);
    for (int s = 0; s < pass->subtrees; s++) {
        out[s] = pass->gradient[s] + layer->parameter[index]->offset;
    }
}

void layer_weights_done(const struct layer *layer, const struct layer_run *run) {
    if (run->watch != NULL) {
        run->watch->done(run->watch->context, layer->number, NET_PART_WEIGHTS);
    }
}

void layer_plan_same(struct layer *layer, int flags) {
    layer->output[0]->shape = layer->input[0]->shape;
    layer->flags = flags;
}

void layer_map(const struct tensor *out, const struct tensor *in, int pictures,
    void (*kernel)(float *out, const float *in, size_t count), const struct layer_run *run) {
    int blocks = shape_blocks(out->shape.channels), height = out->shape.height;
    size_t count = (size_t)out->shape.width * CHANNEL_BLOCK;
#pragma omp parallel for num_threads(run->threads) schedule(static)
    for (int i = 0; i < pictures * blocks; i++) {
        for (int h = 0; h < height; h++) {
            kernel(tensor_at(out, i / blocks, i % blocks, h, 0),
                tensor_at(in, i / blocks, i % blocks, h, 0), count);
        }
    }
}

void layer_map_two(const struct tensor *out, const struct tensor *a, const struct tensor *b,
    int pictures, void (*kernel)(float *out, const float *a, const float *b, size_t count),
    const struct layer_run *run) {
    int blocks = shape_blocks(out->shape.channels), height = out->shape.height;
    size_t count = (size_t)out->shape.width * CHANNEL_BLOCK;
#pragma omp parallel for num_threads(run->threads) schedule(static)
    for (int i = 0; i < pictures * blocks; i++) {
        for (int h = 0; h < height; h++) {
            kernel(tensor_at(out, i / blocks, i % blocks, h, 0),
                tensor_at(a, i / blocks, i % blocks, h, 0),
                tensor_at(b, i / blocks, i % blocks, h, 0), count);
        }
    }
}

void layer_each_run(const struct layer *layer, const struct layer_run *run, const struct pass *pass,
    struct shape shape,
    void (*take)(const struct layer *layer, const struct layer_run *run, const struct pass *pass,
        const struct epilogue_run *rows)) {
    int blocks = shape_blocks(shape.channels);
#pragma omp parallel for num_threads(run->threads) schedule(static)
    for (int i = 0; i < pass->pictures * blocks; i++) {
        for (int row = 0; row < shape.height; row += epilogue_rows(shape)) {
            struct epilogue_run rows = epilogue_run_at(shape, i / blocks, i % blocks, row);
            take(layer, run, pass, &rows);
        }
    }
}

void layer_map_rows(const struct tensor *out, const struct tensor *a, const struct tensor *b,
    const struct epilogue_run *rows,
    void (*kernel)(float *out, const float *a, const float *b, size_t count)) {
    size_t count = (size_t)out->shape.width * CHANNEL_BLOCK;
    for (int h = rows->row; h < rows->row + rows->rows; h++) {
        kernel(tensor_at(out, rows->picture, rows->block, h, 0),
            tensor_at(a, rows->picture, rows->block, h, 0),
            tensor_at(b, rows->picture, rows->block, h, 0), count);
    }
}
