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

static void add_integers(void *sum, const void *more, size_t count) {
    int64_t *values = sum;
    for (size_t i = 0; i < count; i++) {
        values[i] += ((const int64_t *)more)[i];
    }
}

static void add_reals(void *sum, const void *more, size_t count) {
    double *values = sum;
    for (size_t i = 0; i < count; i++) {
        values[i] += ((const double *)more)[i];
    }
}

/* Up the tree in which rank r hangs below r without its lowest bit, and down again. `other` has
 * room for as many numbers, of 8 bytes each. */
static status sum_up(struct transport *transport, void *values, void *other, size_t count,
    void (*add)(void *sum, const void *more, size_t count)) {
    int rank = transport->rank, ranks = transport->ranks, bit = 1;
    size_t size = count * 8;
    for (; bit < ranks && !(rank & bit); bit *= 2) {
        if (rank + bit < ranks) {
            TRY(transport_receive(transport, rank + bit, TRANSPORT_TAG_NUMBERS, other, size));
            add(values, other, count);
        }
    }
    if (rank > 0) {
        TRY(transport_send(transport, rank - bit, TRANSPORT_TAG_NUMBERS, values, size));
        TRY(transport_receive(transport, rank - bit, TRANSPORT_TAG_NUMBERS, values, size));
    }
    for (bit /= 2; bit >= 1; bit /= 2) {
        if (rank + bit < ranks) {
            TRY(transport_send(transport, rank + bit, TRANSPORT_TAG_NUMBERS, values, size));
        }
    }
    return STATUS_OK;
}

status agreement_sum(struct transport *transport, int64_t *values, int count) {
    int64_t *other;
    TRY(MEMORY_ALLOCATE(&other, (size_t)count));
    status result = sum_up(transport, values, other, (size_t)count, add_integers);
    free(other);
    return result;
}

status agreement_sum_pieces(
    struct transport *transport, double *values, double *other, size_t count) {
    return sum_up(transport, values, other, count, add_reals);
}

/* One message up, and one down to each rank below. */
int64_t agreement_sum_bytes(int rank, int ranks, size_t count) {
    int64_t messages = rank > 0;
    for (int bit = 1; bit < ranks && (rank & bit) == 0; bit *= 2) {
        messages += rank + bit < ranks;
    }
    return messages * (int64_t)count * 8;
}
