/* The optimizer's vectors, brought to rank 0 and back by parameters. Rank 0 tells what comes next.
 */
#include "worker/step_internal.h"

#include "worker/exchange/vector.h"

#include <stdio.h>

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

int step_vector_count(const struct step *step) {
    return optimizer_vector_count(step->optimizer) + exchange_left_count(step->gradients);
}

const char *step_vector_name(struct step *step, int vector) {
    int left = vector - optimizer_vector_count(step->optimizer);
    if (left < 0) {
        return optimizer_vector_name(step->optimizer, vector);
    }
    snprintf(step->vector_name, sizeof step->vector_name, left == 0 ? "owed" : "node%d", left - 1);
    return step->vector_name;
}

static status carry_out_alone(
    struct step *step, float *packed, float *vector, const struct order *order) {
    size_t from = (size_t)order->from, count = (size_t)(order->to - order->from);
    if (step->transport->rank == 0 && order->service == SERVICE_COLLECT) {
        vector_copy(packed, vector + from, count);
    } else if (step->transport->rank == 0) {
        vector_copy(vector + from, packed, count);
    }
    return STATUS_OK;
}

static status carry_out(struct step *step, float *packed, const struct order *order) {
    size_t from = (size_t)order->from, to = (size_t)order->to;
    int left = order->vector - optimizer_vector_count(step->optimizer);
    if (left >= 0) {
        return order->service == SERVICE_COLLECT
                   ? exchange_collect_left(step->gradients, packed, left, from, to)
                   : exchange_deal_left(step->gradients, packed, left, from, to);
    }
    float *vector = optimizer_vector(step->optimizer, order->vector);
    if (step_is_local(step)) { /* all is with everyone, or will be by step_spread_weights */
        return carry_out_alone(step, packed, vector, order);
    }
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
    return step_is_local(step) ? step_spread_own(step) : exchange_spread(step->gradients);
}

status step_assemble(struct step *step, float **whole, int vector) {
    if (step_is_local(step)) {
        *whole = optimizer_vector(step->optimizer, vector);
        return STATUS_OK;
    }
    return exchange_assemble(step->gradients, whole, optimizer_vector(step->optimizer, vector));
}
