#include "worker/exchange/transport.h"

status transport_wait(struct transport *transport, struct transport_request *request) {
    bool done;
    TRY(transport->test(transport, request, &done));
    if (done) {
        return STATUS_OK;
    }
    const struct activity_now before = activity_enter(transport->activity, ACTIVITY_COLLECTIVE, -1);
    status result = STATUS_OK;
    while (!done && result == STATUS_OK) {
        transport->pause(transport);
        result = transport->test(transport, request, &done);
    }
    activity_leave(transport->activity, before);
    return result;
}

status transport_send(
    struct transport *transport, int peer, int tag, const void *bytes, size_t size) {
    struct transport_request request;
    TRY(transport->send(transport, &request, peer, tag, bytes, size));
    return transport_wait(transport, &request);
}

status transport_receive(struct transport *transport, int peer, int tag, void *bytes, size_t size) {
    struct transport_request request;
    TRY(transport->receive(transport, &request, peer, tag, bytes, size));
    return transport_wait(transport, &request);
}
