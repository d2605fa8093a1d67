/* What the writer and the reader of safetensors share. Private to io/. */
#ifndef IO_SAFETENSORS_FORMAT_H
#define IO_SAFETENSORS_FORMAT_H

#include "io/safetensors.h"

#include <stdbool.h>

#define SAFETENSORS_METADATA        "__metadata__"
#define SAFETENSORS_CHECKSUM        "checksum"  /* of the header */
#define SAFETENSORS_CHECKSUM_PREFIX "checksum." /* of a tensor */

/* "F32"; NULL for a number that is no type. */
const char *safetensors_type_name(enum safetensors_type type);

/* The type called `name`; false where there is none. */
bool safetensors_type_find(enum safetensors_type *type, const char *name);

/* Bytes that type and dimensions make; false where the product does not fit 63 bits. */
bool safetensors_entry_bytes(uint64_t *bytes, const struct safetensors_entry *entry);

/* The digest of header text[size] with its checksum's 16 digits taken as zeros. *digits gets where
 * they stand. NULL there, and no digest, where the header has no checksum of this form. */
uint64_t safetensors_header_digest(char **digits, char *text, size_t size);

#endif
