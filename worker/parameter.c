#include "worker/parameter.h"

#include <string.h>

void parameter_pack(float *vector, const float *standard, const struct parameter *parameter) {
    parameter_pack_part(vector + parameter->offset, standard, parameter);
}

void parameter_pack_part(float *packed, const float *standard, const struct parameter *parameter) {
    if (parameter->pack != NULL) {
        parameter->pack(packed, standard, parameter);
        return;
    }
    size_t elements = (size_t)parameter->elements;
    memcpy(packed, standard, elements * sizeof(float));
    memset(packed + elements, 0, (parameter->packed - elements) * sizeof(float));
}

void parameter_unpack(float *standard, const float *vector, const struct parameter *parameter) {
    parameter_unpack_part(standard, vector + parameter->offset, parameter);
}

void parameter_unpack_part(
    float *standard, const float *packed, const struct parameter *parameter) {
    if (parameter->unpack != NULL) {
        parameter->unpack(standard, packed, parameter);
        return;
    }
    memcpy(standard, packed, (size_t)parameter->elements * sizeof(float));
}
