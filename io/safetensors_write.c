#include "base/digest.h"
#include "base/memory.h"
#include "io/safetensors_format.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "tensors are written as they lie");

struct writer {
    const char *path;
    const struct safetensors_entry *entries;
    int count;
    safetensors_fill fill;
    void *context;
    void *buffer;     /* room for the largest tensor */
    uint64_t *digest; /* of each tensor */
};

static status check_entries(uint64_t *largest, const struct writer *writer) {
    uint64_t total = 0;
    *largest = 0;
    for (int i = 0; i < writer->count; i++) {
        const struct safetensors_entry *entry = &writer->entries[i];
        uint64_t bytes;
        if (entry->dimensions < 0 || entry->dimensions > SAFETENSORS_DIMENSIONS ||
            safetensors_type_name(entry->type) == NULL || !safetensors_entry_bytes(&bytes, entry) ||
            bytes != entry->size || __builtin_add_overflow(total, bytes, &total) ||
            total > INT64_MAX) {
            FAIL(STATUS_USAGE, "cannot write %s: the shape of tensor '%s' does not make %llu bytes",
                writer->path, entry->name, (unsigned long long)entry->size);
        }
        *largest = bytes > *largest ? bytes : *largest;
    }
    return STATUS_OK;
}

static int compare_metadata(const void *a, const void *b) {
    return strcmp(((const struct safetensors_metadata *)a)->key,
        ((const struct safetensors_metadata *)b)->key);
}

/* A refusal of jansson: no memory, or text that is not UTF-8. `value` is taken. */
static status set_new(json_t *object, const char *key, json_t *value, const char *path) {
    if (json_object_get(object, key) != NULL) {
        json_decref(value);
        FAIL(STATUS_USAGE, "cannot write %s: the name '%s' is given twice", path, key);
    }
    if (value == NULL || json_object_set_new(object, key, value) != 0) {
        FAIL(STATUS_USAGE, "cannot write %s: name or text of '%s' is not UTF-8", path, key);
    }
    return STATUS_OK;
}

/* Given metadata and checksums together, sorted by key. */
static status make_metadata(json_t **made, const struct safetensors_metadata *metadata,
    int metadata_count, const struct writer *writer) {
    size_t count = (size_t)metadata_count + (size_t)writer->count + 1;
    struct safetensors_metadata *all;
    char **texts; /* key and value of each checksum, owned */
    status result = STATUS_OK;
    *made = NULL;
    TRY(MEMORY_ALLOCATE(&all, count));
    TRY_TO(free_all, result, MEMORY_ALLOCATE(&texts, 2 * (size_t)writer->count + 1));
    for (int i = 0; i < metadata_count; i++) {
        all[i] = metadata[i];
        if (strcmp(metadata[i].key, SAFETENSORS_CHECKSUM) == 0 ||
            strncmp(metadata[i].key, SAFETENSORS_CHECKSUM_PREFIX,
                strlen(SAFETENSORS_CHECKSUM_PREFIX)) == 0) {
            FAIL_TO(done, result, STATUS_USAGE, "cannot write %s: the metadata key '%s' is taken",
                writer->path, metadata[i].key);
        }
    }
    for (int i = 0; i < writer->count; i++) {
        char digits[17];
        if (asprintf(&texts[2 * i], SAFETENSORS_CHECKSUM_PREFIX "%s", writer->entries[i].name) <
            0) {
            texts[2 * i] = NULL;
            FAIL_TO(done, result, STATUS_SYSTEM, "no memory for the header of %s", writer->path);
        }
        TRY_TO(done, result,
            memory_copy_text(&texts[2 * i + 1], digest_text(writer->digest[i], digits)));
        all[metadata_count + i] = (struct safetensors_metadata){texts[2 * i], texts[2 * i + 1]};
    }
    all[count - 1] = (struct safetensors_metadata){SAFETENSORS_CHECKSUM, "0000000000000000"};
    qsort(all, count, sizeof *all, compare_metadata);
    *made = json_object();
    for (size_t i = 0; i < count; i++) {
        TRY_TO(done, result, set_new(*made, all[i].key, json_string(all[i].value), writer->path));
    }
done:
    for (int i = 0; i < 2 * writer->count; i++) {
        free(texts[i]);
    }
    free(texts);
    if (result != STATUS_OK) {
        json_decref(*made);
        *made = NULL;
    }
free_all:
    free(all);
    return result;
}

static json_t *describe(const struct safetensors_entry *entry, uint64_t offset) {
    json_t *shape = json_array();
    for (int i = 0; i < entry->dimensions; i++) {
        json_array_append_new(shape, json_integer((json_int_t)entry->dimension[i]));
    }
    return json_pack("{s:s, s:o, s:[I, I]}", "dtype", safetensors_type_name(entry->type), "shape",
        shape, "data_offsets", (json_int_t)offset, (json_int_t)(offset + entry->size));
}

/* The header's text, padded so that the tensors begin at a multiple of 8; freed by free(). */
static status make_header(char **header, size_t *size, const struct safetensors_metadata *metadata,
    int metadata_count, const struct writer *writer) {
    status result = STATUS_OK;
    json_t *root = json_object(), *keys;
    char *text = NULL;
    *header = NULL;
    TRY_TO(done, result, make_metadata(&keys, metadata, metadata_count, writer));
    TRY_TO(done, result, set_new(root, SAFETENSORS_METADATA, keys, writer->path));
    uint64_t offset = 0;
    for (int i = 0; i < writer->count; i++) {
        const struct safetensors_entry *entry = &writer->entries[i];
        TRY_TO(done, result, set_new(root, entry->name, describe(entry, offset), writer->path));
        offset += entry->size;
    }
    text = json_dumps(root, JSON_COMPACT);
    if (text == NULL) {
        FAIL_TO(done, result, STATUS_SYSTEM, "no memory for the header of %s", writer->path);
    }
    size_t length = strlen(text);
    *size = (length + 7) / 8 * 8;
    if (*size > SAFETENSORS_HEADER_LIMIT) {
        FAIL_TO(done, result, STATUS_USAGE, "cannot write %s: a header of %zu bytes is too long",
            writer->path, *size);
    }
    TRY_TO(done, result, memory_allocate((void **)header, *size, 1));
    memset(*header, ' ', *size);
    memcpy(*header, text, length);
    char *place, digits[17];
    uint64_t digest = safetensors_header_digest(&place, *header, *size);
    memcpy(place, digest_text(digest, digits), 16);
done:
    free(text);
    json_decref(root);
    return result;
}

static status write_tensors(struct atomic_file *file, const struct writer *writer) {
    for (int i = 0; i < writer->count; i++) {
        const struct safetensors_entry *entry = &writer->entries[i];
        TRY(writer->fill(writer->context, i, writer->buffer));
        if (digest_bytes(writer->buffer, entry->size) != writer->digest[i]) {
            FAIL(STATUS_SYSTEM, "cannot write %s: tensor '%s' changed meanwhile", writer->path,
                entry->name);
        }
        TRY(atomic_file_write(file, writer->buffer, entry->size));
    }
    return STATUS_OK;
}

static status write_file(const char *header, size_t size, const struct writer *writer) {
    struct atomic_file file;
    TRY(atomic_file_open(&file, writer->path));
    unsigned char prefix[8];
    for (int i = 0; i < 8; i++) {
        prefix[i] = (unsigned char)((uint64_t)size >> (8 * i));
    }
    status result = STATUS_OK;
    TRY_TO(failed, result, atomic_file_write(&file, prefix, sizeof prefix));
    TRY_TO(failed, result, atomic_file_write(&file, header, size));
    TRY_TO(failed, result, write_tensors(&file, writer));
    return atomic_file_commit(&file);
failed:
    atomic_file_abandon(&file);
    return result;
}

status safetensors_write(const char *path, const struct safetensors_entry *entries, int count,
    const struct safetensors_metadata *metadata, int metadata_count, safetensors_fill fill,
    void *context) {
    struct writer writer = {
        .path = path, .entries = entries, .count = count, .fill = fill, .context = context};
    char *header = NULL;
    size_t size = 0;
    uint64_t largest;
    TRY(check_entries(&largest, &writer));
    status result = STATUS_OK;
    TRY_TO(done, result, MEMORY_ALLOCATE(&writer.digest, (size_t)count));
    TRY_TO(done, result, memory_allocate(&writer.buffer, 1, largest));
    for (int i = 0; i < count; i++) {
        TRY_TO(done, result, fill(context, i, writer.buffer));
        writer.digest[i] = digest_bytes(writer.buffer, entries[i].size);
    }
    TRY_TO(done, result, make_header(&header, &size, metadata, metadata_count, &writer));
    TRY_TO(done, result, write_file(header, size, &writer));
done:
    free(header);
    free(writer.buffer);
    free(writer.digest);
    return result;
}
