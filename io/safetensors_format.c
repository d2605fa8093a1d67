#include "io/safetensors_format.h"

#include "base/digest.h"

#include <string.h>

static const struct {
    const char *name;
    uint64_t size;
} types[] = {
    [SAFETENSORS_F32] = {"F32", 4},
    [SAFETENSORS_I64] = {"I64", 8},
    [SAFETENSORS_U8] = {"U8", 1},
};
#define TYPES (int)(sizeof types / sizeof types[0])

const char *safetensors_type_name(enum safetensors_type type) {
    return (int)type >= 0 && (int)type < TYPES ? types[type].name : NULL;
}

bool safetensors_type_find(enum safetensors_type *type, const char *name) {
    for (int i = 0; i < TYPES; i++) {
        if (strcmp(types[i].name, name) == 0) {
            *type = (enum safetensors_type)i;
            return true;
        }
    }
    return false;
}

bool safetensors_entry_bytes(uint64_t *bytes, const struct safetensors_entry *entry) {
    uint64_t product = types[entry->type].size;
    for (int i = 0; i < entry->dimensions; i++) {
        if (__builtin_mul_overflow(product, entry->dimension[i], &product) || product > INT64_MAX) {
            return false;
        }
    }
    *bytes = product;
    return true;
}

/* No JSON text holds an unescaped quote, so that the mark stands for the key and nothing else. */
uint64_t safetensors_header_digest(char **digits, char *text, size_t size) {
    static const char mark[] = "\"" SAFETENSORS_CHECKSUM "\":\"";
    char *found = memmem(text, size, mark, sizeof mark - 1);
    *digits = NULL;
    if (found == NULL || size - (size_t)(found - text) < sizeof mark - 1 + 16) {
        return 0;
    }
    char kept[16];
    *digits = found + sizeof mark - 1;
    memcpy(kept, *digits, sizeof kept);
    memset(*digits, '0', sizeof kept);
    uint64_t digest = digest_bytes(text, size);
    memcpy(*digits, kept, sizeof kept);
    return digest;
}
