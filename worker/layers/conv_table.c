#include "worker/layers/conv_table.h"

#include "base/memory.h"
#include "base/number.h"

#include <stdlib.h>
#include <string.h>

static status read_row(
    struct conv_table *table, const struct layer *layer, const struct node *row, int output) {
    int64_t last = -1;
    if (row->kind != NODE_LIST || row->child == NULL) {
        FAIL_AT(row, STATUS_USAGE, "layer %s: row %d of the table must be a list of inputs",
            layer->name, output);
    }
    for (const struct node *entry = row->child; entry != NULL; entry = entry->next) {
        int64_t input;
        if (entry->kind != NODE_SCALAR || !number_parse_integer(&input, entry->text) ||
            input <= last || input >= table->inputs) {
            FAIL_AT(entry, STATUS_USAGE,
                "layer %s: the inputs of a row are numbers from 0 to %d, each greater than the "
                "last",
                layer->name, table->inputs - 1);
        }
        last = input;
        table->connected[output * table->inputs + input] = true;
        table->connections++;
    }
    return STATUS_OK;
}

status conv_table_create(struct conv_table **out, const struct layer *layer,
    const struct node *node, int outputs, const int64_t kernel[2]) {
    if (node->kind != NODE_LIST || node_count(node) != outputs) {
        FAIL_AT(node, STATUS_USAGE, "layer %s: the table must be a list of %d lists, one an output",
            layer->name, outputs);
    }
    status result = STATUS_OK;
    struct conv_table *table;
    TRY(MEMORY_ALLOCATE(&table, 1));
    *table = (struct conv_table){.outputs = outputs,
        .inputs = layer->input[0]->shape.channels,
        .taps = (int)(kernel[0] * kernel[1])};
    TRY_TO(failed, result,
        MEMORY_ALLOCATE(&table->connected, (size_t)outputs * (size_t)table->inputs));
    memset(table->connected, 0, (size_t)outputs * (size_t)table->inputs * sizeof(bool));
    const struct node *row = node->child;
    for (int o = 0; o < outputs; o++, row = row->next) {
        TRY_TO(failed, result, read_row(table, layer, row, o));
    }
    *out = table;
    return STATUS_OK;
failed:
    conv_table_destroy(table);
    return result;
}

void conv_table_destroy(struct conv_table *table) {
    if (table != NULL) {
        free(table->connected);
        free(table->place);
        free(table->learns);
        free(table);
    }
}

static void pack(float *packed, const float *standard, const struct parameter *parameter) {
    const struct conv_table *table = parameter->packing;
    memset(packed, 0, table->packed * sizeof(float));
    for (int64_t i = 0; i < parameter->elements; i++) {
        packed[table->place[i]] = standard[i];
    }
}

static void unpack(float *standard, const float *packed, const struct parameter *parameter) {
    const struct conv_table *table = parameter->packing;
    for (int64_t i = 0; i < parameter->elements; i++) {
        standard[i] = packed[table->place[i]];
    }
}

/* Where the elements of the whole matrix lie is asked of its own packing: of the numbers 1, 2, ...,
 * which floats hold exactly. */
#define ELEMENTS_LIMIT (1 << 24)

static void find_places(struct conv_table *table, const struct parameter *whole, float *standard,
    float *packed, int32_t *place_of) {
    for (int64_t i = 0; i < whole->elements; i++) {
        standard[i] = (float)(i + 1);
    }
    whole->pack(packed, standard, whole);
    for (size_t i = 0; i < whole->packed; i++) {
        if (packed[i] > 0) {
            place_of[(int32_t)packed[i] - 1] = (int32_t)i;
        }
    }
    int32_t *place = table->place;
    memset(table->learns, 0, whole->packed * sizeof(bool));
    for (int64_t i = 0; i < whole->elements; i++) {
        if (table->connected[i / table->taps]) {
            *place++ = place_of[i];
            table->learns[place_of[i]] = true;
        }
    }
}

status conv_table_declare(struct layer *layer, struct conv_table *table, const int64_t kernel[2]) {
    struct parameter *parameter = layer->parameter[0];
    size_t elements = (size_t)parameter->elements;
    if (elements >= ELEMENTS_LIMIT) {
        LAYER_FAIL(layer, "a table over %zu weights; the most is %d", elements, ELEMENTS_LIMIT - 1);
    }
    table->packed = parameter->packed;
    status result = STATUS_OK;
    float *standard = NULL, *packed = NULL;
    int32_t *place_of = NULL;
    TRY_TO(done, result,
        MEMORY_ALLOCATE(&table->place, (size_t)table->connections * (size_t)table->taps));
    TRY_TO(done, result, MEMORY_ALLOCATE(&table->learns, table->packed));
    TRY_TO(done, result, MEMORY_ALLOCATE(&standard, elements));
    TRY_TO(done, result, MEMORY_ALLOCATE(&packed, table->packed));
    TRY_TO(done, result, MEMORY_ALLOCATE(&place_of, elements));
    find_places(table, parameter, standard, packed, place_of);
    parameter->dimensions = 3;
    parameter->dimension[0] = table->connections;
    parameter->dimension[1] = kernel[0];
    parameter->dimension[2] = kernel[1];
    parameter->elements = (int64_t)table->connections * table->taps;
    parameter->pack = pack;
    parameter->unpack = unpack;
    parameter->packing = table;
    layer->multiply_adds =
        parameter->elements * layer->output[0]->shape.height * layer->output[0]->shape.width;
done:
    free(place_of);
    free(packed);
    free(standard);
    return result;
}

struct conv_table *conv_table_of(const struct layer *layer) {
    bool has = layer->parameters > 0 && layer->parameter[0]->pack == pack;
    return has ? (struct conv_table *)(uintptr_t)layer->parameter[0]->packing : NULL;
}

void conv_table_mask(const struct layer *layer, const struct pass *pass) {
    const struct conv_table *table = conv_table_of(layer);
    float *out[TREE_SUBTREES_LIMIT];
    layer_gradients(out, layer, pass, 0);
    for (int s = 0; s < pass->subtrees; s++) {
        for (size_t i = 0; i < table->packed; i++) {
            out[s][i] = table->learns[i] ? out[s][i] : 0.0f;
        }
    }
}
