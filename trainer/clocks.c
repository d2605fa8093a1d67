#include "trainer/clocks.h"

#define ROUNDS 16

/* Rank 0's side: the offset of `peer`, which it is told at the end. */
static status ask(struct transport *transport, int peer) {
    double best = 0, quickest = -1;
    for (int i = 0; i < ROUNDS; i++) {
        double theirs;
        const double sent = activity_clock();
        TRY(transport_send(transport, peer, TRANSPORT_TAG_CLOCK, &sent, sizeof sent));
        TRY(transport_receive(transport, peer, TRANSPORT_TAG_CLOCK, &theirs, sizeof theirs));
        const double heard = activity_clock();
        if (quickest < 0 || heard - sent < quickest) {
            quickest = heard - sent;
            best = (sent + heard) / 2 - theirs;
        }
    }
    return transport_send(transport, peer, TRANSPORT_TAG_CLOCK, &best, sizeof best);
}

static status answer(double *offset, struct transport *transport) {
    for (int i = 0; i < ROUNDS; i++) {
        double ignored;
        TRY(transport_receive(transport, 0, TRANSPORT_TAG_CLOCK, &ignored, sizeof ignored));
        const double now = activity_clock();
        TRY(transport_send(transport, 0, TRANSPORT_TAG_CLOCK, &now, sizeof now));
    }
    return transport_receive(transport, 0, TRANSPORT_TAG_CLOCK, offset, sizeof *offset);
}

status clocks_compare(double *offset, struct transport *transport) {
    *offset = 0;
    if (transport->rank != 0) {
        return answer(offset, transport);
    }
    for (int peer = 1; peer < transport->ranks; peer++) {
        TRY(ask(transport, peer));
    }
    return STATUS_OK;
}
