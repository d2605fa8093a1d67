/* A model of ours with weights of another tool, for torchvision.py to compare.
 *
 *     torchvision_logits MODEL WEIGHTS PIXELS PICTURES TENSORS LOGITS [BACK]
 *
 * reads every parameter by its name from the safetensors file WEIGHTS, of which there must be
 * TENSORS (the file may hold more than weights), and PICTURES pictures from
 * PIXELS (floats, C x H x W each), writes the net's outputs to LOGITS, and all parameters in
 * standard order to the safetensors file BACK.
 */
#include "base/memory.h"
#include "io/file.h"
#include "io/safetensors.h"
#include "io/yaml.h"
#include "support/weights.h"

#include <stdlib.h>
#include <string.h>

#define FILE_LIMIT ((size_t)1 << 30)

static status write_logits(
    struct net *net, const char *pixels_path, int pictures, const char *logits_path) {
    void *pixels;
    size_t size, outputs = shape_elements(net_output_shape(net));
    float *logits;
    TRY(file_read(&pixels, &size, pixels_path, FILE_LIMIT));
    if (size != (size_t)pictures * shape_elements(net_input_shape(net)) * sizeof(float)) {
        FAIL(STATUS_INPUT, "%s has %zu bytes", pixels_path, size);
    }
    const int leaf_start[] = {0, pictures};
    const struct subtree all = {0, 1};
    const struct pass pass = {.pictures = pictures,
        .leaves = 1,
        .leaf_start = leaf_start,
        .subtrees = 1,
        .subtree = &all};
    net_forward(net, &pass, pixels, NULL);
    free(pixels);
    TRY(MEMORY_ALLOCATE(&logits, (size_t)pictures * outputs));
    net_output(logits, net, pictures);
    struct atomic_file file;
    TRY(atomic_file_open(&file, logits_path));
    TRY(atomic_file_write(&file, logits, (size_t)pictures * outputs * sizeof(float)));
    free(logits);
    return atomic_file_commit(&file);
}

static status fill(void *context, int index, void *bytes) {
    struct net *net = context;
    parameter_unpack(bytes, net_weights(net), net_parameter(net, index));
    return STATUS_OK;
}

static status write_back(struct net *net, const char *path) {
    int count = net_parameter_count(net);
    struct safetensors_entry *entries;
    TRY(MEMORY_ALLOCATE(&entries, (size_t)count));
    for (int p = 0; p < count; p++) {
        const struct parameter *parameter = net_parameter(net, p);
        entries[p] = (struct safetensors_entry){.name = parameter->name,
            .dimensions = parameter->dimensions,
            .size = (uint64_t)parameter->elements * sizeof(float)};
        for (int d = 0; d < parameter->dimensions; d++) {
            entries[p].dimension[d] = (uint64_t)parameter->dimension[d];
        }
    }
    status result = safetensors_write(path, entries, count, NULL, 0, fill, net);
    free(entries);
    return result;
}

static status run(struct document *document, struct net **net, int count, char **arguments) {
    struct node *root;
    int pictures = (int)strtol(arguments[4], NULL, 10);
    const struct net_options options = {.pictures = pictures,
        .leaves = 1,
        .leaf = pictures,
        .threads = 2,
        .winograd = WINOGRAD_ON}; /* as users have it */
    TRY(yaml_load(document, &root, arguments[1]));
    TRY(net_create(net, root, &options));
    if (net_parameter_count(*net) != (int)strtol(arguments[5], NULL, 10)) {
        FAIL(STATUS_INPUT, "the model has %d parameters, not %s", net_parameter_count(*net),
            arguments[5]);
    }
    TRY(weights_load(*net, arguments[2]));
    TRY(write_logits(*net, arguments[3], pictures, arguments[6]));
    return count == 8 ? write_back(*net, arguments[7]) : STATUS_OK;
}

int main(int count, char **arguments) {
    if (count < 7 || count > 8) {
        return 2;
    }
    struct document document;
    struct net *net = NULL;
    document_init(&document);
    status result = run(&document, &net, count, arguments);
    if (result != STATUS_OK) {
        fprintf(stderr, "%s\n", status_message());
    }
    net_destroy(net);
    document_release(&document);
    return result == STATUS_OK ? 0 : 1;
}
