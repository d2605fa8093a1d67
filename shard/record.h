/* One picture as it lies in a shard: a small versioned header, then its bytes.
 *
 * Layout, little-endian, 40 bytes and then `size` bytes:
 *   0  magic "CVR1"         4  crc32 of everything from byte 8 on (zlib's)
 *   8  target type (u8)     9  encoding (u8)       10 channels (u16)
 *  12  height (u32)        16  width (u32)         20 class number (i32)
 *  24  number (u64): the record's place in the data set, so that a damaged index of a shard which
 *      leads to another sound record is found out
 *  32  size (u64): bytes that follow the header
 * Raw and zlib pictures are interleaved rows of 8-bit pixels. For JPEG and PNG the shape is that of
 * the coded picture.
 */
#ifndef SHARD_RECORD_H
#define SHARD_RECORD_H

#include "base/shape.h"
#include "base/status.h"
#include "base/target.h"
#include "io/picture.h"

#include <stdint.h>

enum record_encoding { RECORD_RAW = 0, RECORD_ZLIB = 1, RECORD_JPEG = 2, RECORD_PNG = 3 };

struct record {
    int64_t number; /* place in the data set, from 0 */
    struct target target;
    enum record_encoding encoding;
    struct shape shape;
    const void *bytes; /* borrowed */
    size_t size;
};

#define RECORD_HEADER 40 /* bytes */

/* Packs header and bytes into one piece, freed by free(). Fails with STATUS_INPUT where the record
 * could not be unpacked again. */
status record_pack(void **packed, size_t *size, const struct record *record);

/* Checks magic, sizes and CRC and points into `packed`. Fails with STATUS_INPUT and the reason. */
status record_unpack(struct record *record, const void *packed, size_t size);

/* Decodes to 8-bit pixels with `channels` (1 or 3; 0 keeps them); freed by picture_release. Fails
 * with STATUS_INPUT where the bytes are damaged or do not have the record's shape. */
status record_decode(struct picture *picture, const struct record *record, int channels);

/* Codes a picture: sets `record`'s encoding, shape, bytes and size; the bytes are `*owned`, freed
 * by free(). `quality` is for JPEG. */
status record_encode(struct record *record, void **owned, const struct picture *picture,
    enum record_encoding encoding, int quality);

#endif
