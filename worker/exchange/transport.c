#include "worker/exchange/transport.h"

status transport_wait(struct transport *transport, struct transport_request *request) {
    for (;;) {
        bool done;
        TRY(transport->test(transport, request, &done));
        if (done) {
            return STATUS_OK;
        }
        transport->pause(transport);
    }
}
