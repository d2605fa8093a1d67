/* The safetensors format (huggingface/safetensors, its README is the specification), written and
 * read strictly: little-endian 64-bit header size, JSON header, tensors back to back.
 *
 * Reading refuses: a header above the format's 100 MB or past the end of the file, JSON that is not
 * an object of tensors, a name given twice, unknown types, negative or overflowing dimensions,
 * offsets that overlap, leave holes, do not match shape x type, or end elsewhere than the file.
 *
 * Checksums (XXH3, 16 hexadecimal digits) stand in the metadata: "checksum.<name>" is that of a
 * tensor's bytes, "checksum" that of the header itself with its own digits taken as zeros. A file
 * has all of them or, from another tool, none: one flipped bit anywhere is noticed.
 *
 * Tensors are written in the order given, metadata sorted by key: the same content gives the same
 * bytes. The first tensor begins at a multiple of 8 (spaces fill the header up).
 */
#ifndef IO_SAFETENSORS_H
#define IO_SAFETENSORS_H

#include "base/status.h"
#include "io/file.h"

#include <stddef.h>
#include <stdint.h>

#define SAFETENSORS_DIMENSIONS   8
#define SAFETENSORS_HEADER_LIMIT ((size_t)100000000) /* bytes */

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

/* Puts tensor `index` into bytes[entry->size], which is aligned to 64. */
typedef status (*safetensors_fill)(void *context, int index, void *bytes);

/* Writes one file atomically. The checksums stand before the tensors, so `fill` is called twice a
 * tensor (all to digest, then all to write) and must give the same bytes both times, or the file is
 * given up with STATUS_SYSTEM; memory for one tensor, the largest, is taken. Fails with
 * STATUS_USAGE where an entry's size is not that of its shape, a name comes twice or is no UTF-8,
 * or a metadata key is one of the checksums; with STATUS_SYSTEM where the disk is full or not to be
 * written. */
status safetensors_write(const char *path, const struct safetensors_entry *entries, int count,
    const struct safetensors_metadata *metadata, int metadata_count, safetensors_fill fill,
    void *context);

/* An open file: header checked in full, tensors not yet read. The file stays open until
 * safetensors_close, so that a retention that deletes it does no harm. Reading is thread-safe.
 * Fails with STATUS_NOT_FOUND, STATUS_SYSTEM, or STATUS_INPUT naming file and what is wrong. */
struct safetensors_file;
status safetensors_open(struct safetensors_file **file, const char *path);
void safetensors_close(struct safetensors_file *file);

/* Tensors are counted in the order of their bytes: for a file of ours, the order they were given
 * in. The entry is borrowed until safetensors_close. */
int safetensors_count(const struct safetensors_file *file);
const struct safetensors_entry *safetensors_at(const struct safetensors_file *file, int index);

/* Index of the tensor called `name`, or -1. */
int safetensors_find(const struct safetensors_file *file, const char *name);

/* Value of a metadata key, borrowed until safetensors_close, or NULL. */
const char *safetensors_metadata(const struct safetensors_file *file, const char *key);

/* Reads one tensor into bytes[entry->size]; checks its checksum where the file has one. Fails with
 * STATUS_INPUT naming file and tensor. */
status safetensors_read(const struct safetensors_file *file, int index, void *bytes);

/* Reads everything and checks every checksum; memory for the largest tensor is taken. */
status safetensors_verify(const struct safetensors_file *file);

#endif
