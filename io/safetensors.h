/* The safetensors format (huggingface/safetensors, its README is the specification), written and
 * read strictly: little-endian 64-bit header size, JSON header, tensors back to back.
 *
 * Reading refuses: a header above 100 MB or past the end of the file, JSON that is not an object of
 * tensors, unknown types, negative or overflowing dimensions, offsets that overlap, leave holes,
 * do not match shape x type, or end elsewhere than the file. Names are written in the order given;
 * the same content gives the same bytes.
 */
#ifndef IO_SAFETENSORS_H
#define IO_SAFETENSORS_H

#include "base/status.h"
#include "io/file.h"

#include <stddef.h>
#include <stdint.h>

#define SAFETENSORS_DIMENSIONS 8

enum safetensors_type { SAFETENSORS_F32, SAFETENSORS_I64, SAFETENSORS_U8 };

struct safetensors_entry {
    const char *name;
    enum safetensors_type type;
    int dimensions;
    uint64_t dimension[SAFETENSORS_DIMENSIONS];
    uint64_t size; /* bytes */
};

struct safetensors_metadata {
    const char *key;
    const char *value;
};

/* Writes one file atomically. `fill` puts tensor `index` into bytes[entry->size]. Checksums: for
 * every tensor the metadata gets a key "checksum.<name>" with the XXH3 digest of its bytes; they
 * stand before the tensors, so `fill` is called twice a tensor (to digest, to write) and must give
 * the same bytes both times. Metadata keys are written sorted. */
typedef status (*safetensors_fill)(void *context, int index, void *bytes);
status safetensors_write(const char *path, const struct safetensors_entry *entries, int count,
    const struct safetensors_metadata *metadata, int metadata_count, safetensors_fill fill,
    void *context);

/* An open file: header checked in full, tensors not yet read. */
struct safetensors_file;
status safetensors_open(struct safetensors_file **file, const char *path);
void safetensors_close(struct safetensors_file *file);
int safetensors_count(const struct safetensors_file *file);
const struct safetensors_entry *safetensors_at(const struct safetensors_file *file, int index);
/* Index of the tensor called `name`, or -1. */
int safetensors_find(const struct safetensors_file *file, const char *name);
/* Value of a metadata key, or NULL. */
const char *safetensors_metadata(const struct safetensors_file *file, const char *key);
/* Reads one tensor into bytes[entry->size]; checks its checksum where the file has one (a file
 * from another tool has none). Fails with STATUS_INPUT naming file and tensor. */
status safetensors_read(const struct safetensors_file *file, int index, void *bytes);
/* Reads everything and checks every checksum. */
status safetensors_verify(const struct safetensors_file *file);

#endif
