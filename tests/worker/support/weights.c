#include "support/weights.h"

#include "base/memory.h"
#include "io/safetensors.h"

#include <stdlib.h>

static status load_parameter(
    struct net *net, const struct parameter *parameter, const struct safetensors_file *file) {
    int index = safetensors_find(file, parameter->name);
    if (index < 0) {
        FAIL(STATUS_INPUT, "the weights have no %s", parameter->name);
    }
    const struct safetensors_entry *entry = safetensors_at(file, index);
    bool same = entry->dimensions == parameter->dimensions;
    for (int d = 0; same && d < parameter->dimensions; d++) {
        same = entry->dimension[d] == (uint64_t)parameter->dimension[d];
    }
    if (!same || entry->type != SAFETENSORS_F32) {
        FAIL(STATUS_INPUT, "%s has another shape in the weights", parameter->name);
    }
    float *standard;
    TRY(MEMORY_ALLOCATE(&standard, (size_t)parameter->elements));
    status result = safetensors_read(file, index, standard);
    if (result == STATUS_OK) {
        parameter_pack(net_weights(net), standard, parameter);
    }
    free(standard);
    return result;
}

status weights_load(struct net *net, const char *path) {
    struct safetensors_file *file;
    TRY(safetensors_open(&file, path));
    status result = STATUS_OK;
    for (int p = 0; result == STATUS_OK && p < net_parameter_count(net); p++) {
        result = load_parameter(net, net_parameter(net, p), file);
    }
    safetensors_close(file);
    return result;
}
