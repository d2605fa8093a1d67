/* What relu and max pooling decide in a model of ours with weights of another tool, for
 * tests/trainer/pytorch/test_steps.py to impose on PyTorch.
 *
 *     torchvision_decisions MODEL WEIGHTS PIXELS PICTURES WINOGRAD DECISIONS
 *
 * runs a training forward pass (WINOGRAD: on or off) of PICTURES pictures from PIXELS (floats, C x
 * H x W each) and writes to DECISIONS, in the order of forward, the outputs of every relu and the
 * inputs of every max pooling, N x C x H x W floats each. Every layer does its own work, with the
 * bits of one that is fused (test_net.c).
 */
#include "base/memory.h"
#include "io/file.h"
#include "io/yaml.h"
#include "support/weights.h"
#include "worker/loss.h"
#include "worker/net_internal.h"

#include <stdlib.h>
#include <string.h>

#define FILE_LIMIT ((size_t)1 << 30)

static status write_planar(struct atomic_file *file, const struct tensor *tensor, int pictures) {
    size_t count = (size_t)pictures * shape_elements(tensor->shape);
    float *planar;
    TRY(MEMORY_ALLOCATE(&planar, count));
    tensor_store_planar(planar, tensor, pictures);
    status result = atomic_file_write(file, planar, count * sizeof(float));
    free(planar);
    return result;
}

static bool is_kind(const struct layer *layer, const char *kind) {
    return strcmp(layer->operations->kind.name, kind) == 0;
}

static status write_decisions(struct atomic_file *file, struct net *net, const struct pass *pass) {
    for (int i = 0; i < net->graph.layers; i++) {
        const struct layer *layer = net->graph.layer[i];
        if (is_kind(layer, "maxpool")) {
            TRY(write_planar(file, &layer->input[0]->activation, pass->pictures));
        }
        net_forward_layer(net, pass, i);
        if (is_kind(layer, "relu")) {
            TRY(write_planar(file, &layer->output[0]->activation, pass->pictures));
        }
    }
    return STATUS_OK;
}

static status run_pass(struct net *net, const char *pixels_path, int pictures, const char *path) {
    void *pixels;
    size_t size;
    TRY(file_read(&pixels, &size, pixels_path, FILE_LIMIT));
    if (size != (size_t)pictures * shape_elements(net_input_shape(net)) * sizeof(float)) {
        FAIL(STATUS_INPUT, "%s has %zu bytes", pixels_path, size);
    }
    const int leaf_start[] = {0, pictures};
    const struct subtree all = {0, 1};
    const struct pass pass = {.training = true,
        .pictures = pictures,
        .leaves = 1,
        .leaf_start = leaf_start,
        .subtrees = 1,
        .subtree = &all};
    struct atomic_file file;
    net_load_input(net, &pass, pixels);
    free(pixels);
    TRY(atomic_file_open(&file, path));
    TRY(write_decisions(&file, net, &pass));
    return atomic_file_commit(&file);
}

static status run(
    struct document *document, struct pool *pool, struct net **net, char **arguments) {
    struct node *root;
    struct choice loss;
    const struct node name = {.kind = NODE_SCALAR, .text = "cross_entropy"};
    int pictures = (int)strtol(arguments[4], NULL, 10);
    TRY(options_parse_choice(&loss, losses, &name, "loss", pool));
    const struct net_options options = {.pictures = pictures,
        .leaves = 1,
        .leaf = pictures,
        .threads = 2,
        .training = true,
        .winograd = strcmp(arguments[5], "on") == 0 ? WINOGRAD_ON : WINOGRAD_OFF,
        .loss = &loss,
        .unfused = true};
    TRY(yaml_load(document, &root, arguments[1]));
    TRY(net_create(net, root, &options));
    TRY(weights_load(*net, arguments[2]));
    return run_pass(*net, arguments[3], pictures, arguments[6]);
}

int main(int count, char **arguments) {
    if (count != 7) {
        return 2;
    }
    struct document document;
    struct pool pool;
    struct net *net = NULL;
    document_init(&document);
    pool_init(&pool);
    status result = run(&document, &pool, &net, arguments);
    if (result != STATUS_OK) {
        fprintf(stderr, "%s\n", status_message());
    }
    net_destroy(net);
    pool_release(&pool);
    document_release(&document);
    return result == STATUS_OK ? 0 : 1;
}
