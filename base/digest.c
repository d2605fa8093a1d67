#include "base/digest.h"

#include <stdio.h>
#include <xxhash.h>

uint64_t digest_bytes(const void *bytes, size_t size) {
    return XXH3_64bits(bytes, size);
}

uint64_t digest_add(uint64_t digest, const void *bytes, size_t size) {
    return XXH3_64bits_withSeed(bytes, size, digest);
}

const char *digest_text(uint64_t digest, char text[17]) {
    snprintf(text, 17, "%016llx", (unsigned long long)digest);
    return text;
}
