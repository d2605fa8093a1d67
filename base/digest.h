/* Digests against accident (not against malice): XXH3, 64 bits, from libxxhash. */
#ifndef BASE_DIGEST_H
#define BASE_DIGEST_H

#include <stddef.h>
#include <stdint.h>

uint64_t digest_bytes(const void *bytes, size_t size);

/* Chains: the digest of what came before is the seed of what follows. */
uint64_t digest_add(uint64_t digest, const void *bytes, size_t size);

/* 16 hexadecimal digits and a 0 byte; returns text. */
const char *digest_text(uint64_t digest, char text[17]);

#endif
