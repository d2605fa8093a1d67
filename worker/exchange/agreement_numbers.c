#include "worker/exchange/agreement.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

status agreement_gather(struct transport *transport, double *all, const double *mine, int count) {
    size_t size = (size_t)count * sizeof *mine;
    if (transport->rank != 0) {
        return transport_send(transport, 0, TRANSPORT_TAG_NUMBERS, mine, size);
    }
    memcpy(all, mine, size);
    for (int rank = 1; rank < transport->ranks; rank++) {
        TRY(transport_receive(
            transport, rank, TRANSPORT_TAG_NUMBERS, all + (size_t)rank * (size_t)count, size));
    }
    return STATUS_OK;
}

/* Up the tree in which rank r hangs below r without its lowest bit, and down again. */
status agreement_sum(struct transport *transport, int64_t *values, int count) {
    int rank = transport->rank, ranks = transport->ranks;
    size_t size = (size_t)count * sizeof *values;
    int64_t *other;
    TRY(MEMORY_ALLOCATE(&other, (size_t)count));
    status result = STATUS_OK;
    int bit = 1;
    for (; bit < ranks && !(rank & bit); bit *= 2) {
        if (rank + bit < ranks) {
            TRY_TO(out, result,
                transport_receive(transport, rank + bit, TRANSPORT_TAG_NUMBERS, other, size));
            for (int i = 0; i < count; i++) {
                values[i] += other[i];
            }
        }
    }
    if (rank > 0) {
        int above = rank - bit;
        TRY_TO(out, result, transport_send(transport, above, TRANSPORT_TAG_NUMBERS, values, size));
        TRY_TO(
            out, result, transport_receive(transport, above, TRANSPORT_TAG_NUMBERS, values, size));
    }
    for (bit /= 2; bit >= 1; bit /= 2) {
        if (rank + bit < ranks) {
            TRY_TO(out, result,
                transport_send(transport, rank + bit, TRANSPORT_TAG_NUMBERS, values, size));
        }
    }
out:
    free(other);
    return result;
}
