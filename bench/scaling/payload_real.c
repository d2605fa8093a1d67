/* Real data: with base/memory.c and worker/exchange/vector.c. */
#include "payload.h"

void *payload_of(const void *bytes, size_t size) {
    (void)size;
    return (void *)bytes;
}

void payload_set_speed(double speed) {
    (void)speed;
}
