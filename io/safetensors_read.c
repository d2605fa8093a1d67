#include "base/digest.h"
#include "base/memory.h"
#include "io/safetensors_format.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct tensor {
    struct safetensors_entry entry; /* its name belongs to `header` */
    uint64_t offset;                /* from the first tensor's byte */
    const char *checksum;           /* or NULL */
};

struct safetensors_file {
    int descriptor;
    char *path;
    json_t *header;
    const json_t *metadata; /* or NULL */
    int count;
    struct tensor *tensors; /* in the order of their bytes */
    uint64_t data_start;    /* in the file */
    uint64_t data_size;
};

static status read_bytes(
    void *bytes, const struct safetensors_file *file, uint64_t offset, uint64_t size) {
    for (uint64_t done = 0; done < size;) {
        uint64_t piece = size - done < (1u << 30) ? size - done : 1u << 30;
        ssize_t got =
            pread(file->descriptor, (char *)bytes + done, (size_t)piece, (off_t)(offset + done));
        if (got < 0 && errno != EINTR) {
            FAIL(STATUS_SYSTEM, "cannot read %s: %s", file->path, strerror(errno));
        }
        if (got == 0) {
            FAIL(STATUS_INPUT, "%s: the file ends early", file->path);
        }
        done += got > 0 ? (uint64_t)got : 0;
    }
    return STATUS_OK;
}

#define FAIL_TENSOR(file, name, text)                                                              \
    FAIL(STATUS_INPUT, "%s: damaged header: tensor '%.200s' " text, (file)->path, (name))

/* A whole number of at least 0. */
static bool read_number(uint64_t *number, const json_t *value) {
    if (!json_is_integer(value) || json_integer_value(value) < 0) {
        return false;
    }
    *number = (uint64_t)json_integer_value(value);
    return true;
}

static status read_tensor(struct tensor *tensor, const struct safetensors_file *file,
    const char *name, const json_t *description) {
    struct safetensors_entry *entry = &tensor->entry;
    const json_t *type = json_object_get(description, "dtype");
    const json_t *shape = json_object_get(description, "shape");
    const json_t *offsets = json_object_get(description, "data_offsets");
    uint64_t end;
    entry->name = name;
    if (json_object_size(description) != 3 || !json_is_string(type) || !json_is_array(shape) ||
        !json_is_array(offsets)) {
        FAIL_TENSOR(file, name, "is not {dtype, shape, data_offsets}");
    }
    if (!safetensors_type_find(&entry->type, json_string_value(type))) {
        FAIL(STATUS_INPUT, "%s: tensor '%.200s' has the type %.40s: only F32, I64 and U8 are known",
            file->path, name, json_string_value(type));
    }
    if (json_array_size(shape) > SAFETENSORS_DIMENSIONS) {
        FAIL_TENSOR(file, name, "has more than 8 dimensions");
    }
    entry->dimensions = (int)json_array_size(shape);
    for (int i = 0; i < entry->dimensions; i++) {
        if (!read_number(&entry->dimension[i], json_array_get(shape, (size_t)i))) {
            FAIL_TENSOR(file, name, "has a dimension that is no whole number of at least 0");
        }
    }
    if (!safetensors_entry_bytes(&entry->size, entry)) {
        FAIL_TENSOR(file, name, "has dimensions whose product is too large");
    }
    if (json_array_size(offsets) != 2 ||
        !read_number(&tensor->offset, json_array_get(offsets, 0)) ||
        !read_number(&end, json_array_get(offsets, 1)) || end < tensor->offset) {
        FAIL_TENSOR(file, name, "has offsets that are not two rising whole numbers");
    }
    if (end > file->data_size) {
        FAIL_TENSOR(file, name, "ends past the end of the file");
    }
    if (end - tensor->offset != entry->size) {
        FAIL_TENSOR(file, name, "has offsets that do not fit its shape");
    }
    return STATUS_OK;
}

static int compare_tensors(const void *a, const void *b) {
    const struct tensor *x = a, *y = b;
    if (x->offset != y->offset) {
        return x->offset < y->offset ? -1 : 1;
    }
    if (x->entry.size != y->entry.size) { /* empty ones first */
        return x->entry.size < y->entry.size ? -1 : 1;
    }
    return strcmp(x->entry.name, y->entry.name);
}

static status read_tensors(struct safetensors_file *file) {
    size_t room = json_object_size(file->header);
    TRY(MEMORY_ALLOCATE(&file->tensors, room));
    const char *name;
    json_t *description;
    json_object_foreach(file->header, name, description) {
        if (strcmp(name, SAFETENSORS_METADATA) != 0) {
            TRY(read_tensor(&file->tensors[file->count], file, name, description));
            file->count++;
        }
    }
    if (file->count > 0) {
        qsort(file->tensors, (size_t)file->count, sizeof *file->tensors, compare_tensors);
    }
    uint64_t end = 0;
    for (int i = 0; i < file->count; i++) {
        const struct tensor *tensor = &file->tensors[i];
        if (tensor->offset < end) {
            FAIL_TENSOR(file, tensor->entry.name, "overlaps the one before it");
        }
        if (tensor->offset > end) {
            FAIL_TENSOR(file, tensor->entry.name, "leaves a hole before it");
        }
        end += tensor->entry.size;
    }
    if (end != file->data_size) {
        FAIL(STATUS_INPUT, "%s: the tensors have %llu bytes, the file has %llu for them",
            file->path, (unsigned long long)end, (unsigned long long)file->data_size);
    }
    return STATUS_OK;
}

static status read_metadata(struct safetensors_file *file) {
    const char *key;
    json_t *value;
    file->metadata = json_object_get(file->header, SAFETENSORS_METADATA);
    if (file->metadata != NULL && !json_is_object(file->metadata)) {
        FAIL(STATUS_INPUT, "%s: damaged header: the metadata is no object", file->path);
    }
    json_object_foreach((json_t *)file->metadata, key, value) {
        if (!json_is_string(value)) {
            FAIL(STATUS_INPUT, "%s: damaged header: the metadata key '%.200s' has no text",
                file->path, key);
        }
    }
    return STATUS_OK;
}

/* A file has all checksums or, from another tool, none: a damaged key must not pass for absence. */
static status read_checksums(struct safetensors_file *file, char *text, size_t size) {
    const char *checksum = safetensors_metadata(file, SAFETENSORS_CHECKSUM);
    int expected = checksum != NULL ? file->count : 0, found = 0;
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)file->metadata, key, value) {
        size_t prefix = strlen(SAFETENSORS_CHECKSUM_PREFIX);
        found += strncmp(key, SAFETENSORS_CHECKSUM_PREFIX, prefix) == 0;
    }
    if (checksum != NULL) {
        char *place, digits[17];
        digest_text(safetensors_header_digest(&place, text, size), digits);
        if (place == NULL || strcmp(checksum, digits) != 0) {
            FAIL(STATUS_INPUT, "%s: damaged: the checksum of its header differs", file->path);
        }
    }
    for (int i = 0; i < file->count && found > 0; i++) {
        struct tensor *tensor = &file->tensors[i];
        char *name;
        if (asprintf(&name, SAFETENSORS_CHECKSUM_PREFIX "%s", tensor->entry.name) < 0) {
            FAIL(STATUS_SYSTEM, "no memory to read %s", file->path);
        }
        tensor->checksum = safetensors_metadata(file, name);
        expected -= tensor->checksum != NULL;
        free(name);
    }
    if (expected != 0 || (checksum == NULL && found > 0)) {
        FAIL(STATUS_INPUT, "%s: damaged header: checksums are missing", file->path);
    }
    return STATUS_OK;
}

static status read_header(struct safetensors_file *file) {
    struct stat about;
    unsigned char prefix[8];
    if (fstat(file->descriptor, &about) != 0) {
        FAIL(STATUS_SYSTEM, "cannot read %s: %s", file->path, strerror(errno));
    }
    if (!S_ISREG(about.st_mode)) {
        FAIL(STATUS_INPUT, "%s is not a regular file", file->path);
    }
    uint64_t file_size = (uint64_t)about.st_size, size = 0;
    if (file_size < sizeof prefix + 2) {
        FAIL(STATUS_INPUT, "%s: not a safetensors file: it has only %llu bytes", file->path,
            (unsigned long long)file_size);
    }
    TRY(read_bytes(prefix, file, 0, sizeof prefix));
    for (int i = 0; i < 8; i++) {
        size |= (uint64_t)prefix[i] << (8 * i);
    }
    if (size < 2 || size > SAFETENSORS_HEADER_LIMIT) {
        FAIL(STATUS_INPUT,
            "%s: not a safetensors file: it claims a header of %llu bytes, the limit is %zu",
            file->path, (unsigned long long)size, SAFETENSORS_HEADER_LIMIT);
    }
    if (size > file_size - sizeof prefix) {
        FAIL(STATUS_INPUT, "%s: damaged: its header of %llu bytes goes past the end of the file",
            file->path, (unsigned long long)size);
    }
    file->data_start = sizeof prefix + size;
    file->data_size = file_size - file->data_start;
    char *text;
    TRY(memory_allocate((void **)&text, size, 1));
    status result = STATUS_OK;
    TRY_TO(done, result, read_bytes(text, file, sizeof prefix, size));
    json_error_t error;
    file->header = json_loadb(text, size, JSON_REJECT_DUPLICATES, &error);
    if (file->header == NULL) {
        FAIL_TO(done, result, STATUS_INPUT, "%s: damaged header: not JSON: %s (byte %d)",
            file->path, error.text, error.position);
    }
    if (text[0] != '{') {
        FAIL_TO(done, result, STATUS_INPUT, "%s: damaged header: it is no JSON object", file->path);
    }
    TRY_TO(done, result, read_tensors(file));
    TRY_TO(done, result, read_metadata(file));
    TRY_TO(done, result, read_checksums(file, text, size));
done:
    free(text);
    return result;
}

status safetensors_open(struct safetensors_file **opened, const char *path) {
    *opened = NULL;
    struct safetensors_file *file;
    TRY(MEMORY_ALLOCATE(&file, 1));
    status result = STATUS_OK;
    file->descriptor = -1;
    TRY_TO(failed, result, memory_copy_text(&file->path, path));
    /* Not to be held up by a pipe that nobody feeds. */
    file->descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (file->descriptor < 0) {
        FAIL_TO(failed, result,
            errno == ENOENT || errno == ENOTDIR ? STATUS_NOT_FOUND : STATUS_SYSTEM,
            "cannot read %s: %s", path, strerror(errno));
    }
    TRY_TO(failed, result, read_header(file));
    *opened = file;
    return STATUS_OK;
failed:
    safetensors_close(file);
    return result;
}

void safetensors_close(struct safetensors_file *file) {
    if (file == NULL) {
        return;
    }
    if (file->descriptor >= 0) {
        close(file->descriptor);
    }
    json_decref(file->header);
    free(file->tensors);
    free(file->path);
    free(file);
}

int safetensors_count(const struct safetensors_file *file) {
    return file->count;
}

const struct safetensors_entry *safetensors_at(const struct safetensors_file *file, int index) {
    return &file->tensors[index].entry;
}

int safetensors_find(const struct safetensors_file *file, const char *name) {
    for (int i = 0; i < file->count; i++) {
        if (strcmp(file->tensors[i].entry.name, name) == 0) {
            return i;
        }
    }
    return -1;
}

const char *safetensors_metadata(const struct safetensors_file *file, const char *key) {
    return json_string_value(json_object_get(file->metadata, key));
}

status safetensors_read(const struct safetensors_file *file, int index, void *bytes) {
    const struct tensor *tensor = &file->tensors[index];
    TRY(read_bytes(bytes, file, file->data_start + tensor->offset, tensor->entry.size));
    char digits[17];
    if (tensor->checksum != NULL &&
        strcmp(tensor->checksum, digest_text(digest_bytes(bytes, tensor->entry.size), digits)) !=
            0) {
        FAIL(STATUS_INPUT, "%s: damaged: the checksum of tensor '%.200s' differs", file->path,
            tensor->entry.name);
    }
    return STATUS_OK;
}

status safetensors_verify(const struct safetensors_file *file) {
    uint64_t largest = 0;
    for (int i = 0; i < file->count; i++) {
        uint64_t size = file->tensors[i].entry.size;
        largest = size > largest ? size : largest;
    }
    void *buffer;
    TRY(memory_allocate(&buffer, 1, largest));
    status result = STATUS_OK;
    for (int i = 0; i < file->count && result == STATUS_OK; i++) {
        result = safetensors_read(file, i, buffer);
    }
    free(buffer);
    return result;
}
