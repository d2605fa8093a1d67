/* The optimizer's vectors, brought to rank 0 and back by parameters. Rank 0 tells what comes next.
 */
#include "worker/step_internal.h"

enum service { SERVICE_END, SERVICE_COLLECT, SERVICE_DEAL };

struct order {
    int32_t service, vector;
    uint64_t from, to;
};

static status tell(struct step *step, struct order order) {
    for (int rank = 1; rank < step->transport->ranks; rank++) {
        TRY(transport_send(step->transport, rank, TRANSPORT_TAG_NUMBERS, &order, sizeof order));
    }
    return STATUS_OK;
}

static status carry_out(struct step *step, float *packed, const struct order *order) {
    float *vector = optimizer_vector(step->optimizer, order->vector);
    size_t from = (size_t)order->from, to = (size_t)order->to;
    return order->service == SERVICE_COLLECT
               ? exchange_collect(step->gradients, packed, vector, from, to)
               : exchange_deal(step->gradients, vector, packed, from, to);
}

static struct order make_order(
    enum service service, int vector, const struct parameter *parameter) {
    return (struct order){
        service, vector, parameter->offset, parameter->offset + parameter->packed};
}

status step_collect(
    struct step *step, float *packed, int vector, const struct parameter *parameter) {
    struct order order = make_order(SERVICE_COLLECT, vector, parameter);
    TRY(tell(step, order));
    return carry_out(step, packed, &order);
}

status step_deal(
    struct step *step, const float *packed, int vector, const struct parameter *parameter) {
    struct order order = make_order(SERVICE_DEAL, vector, parameter);
    TRY(tell(step, order));
    return carry_out(step, (float *)packed, &order); /* only read */
}

status step_end_service(struct step *step) {
    return tell(step, (struct order){.service = SERVICE_END});
}

status step_serve(struct step *step) {
    for (;;) {
        struct order order;
        TRY(transport_receive(step->transport, 0, TRANSPORT_TAG_NUMBERS, &order, sizeof order));
        if (order.service == SERVICE_END) {
            return STATUS_OK;
        }
        TRY(carry_out(step, NULL, &order));
    }
}

status step_spread_weights(struct step *step) {
    return exchange_spread(step->gradients);
}

status step_assemble(struct step *step, float **whole, int vector) {
    return exchange_assemble(step->gradients, whole, optimizer_vector(step->optimizer, vector));
}
