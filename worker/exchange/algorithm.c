#include "worker/exchange/algorithm.h"

const struct algorithm *algorithm_choose(
    const struct exchange_options *options, int ranks, size_t size) {
    if (options->algorithm == EXCHANGE_RING) {
        return &algorithm_ring;
    }
    if (!tree_is_power_of_two(ranks)) {
        return &algorithm_partials;
    }
    return size <= options->small_bucket ? &algorithm_doubling : &algorithm_halving;
}

bool plan_rank_filled(const struct plan *plan, int rank) {
    return tree_rank_first(rank, plan->ranks, plan->leaves) < plan->filled;
}

size_t slice_start(size_t size, int rank, int ranks) {
    size_t whole = size / (size_t)ranks, rest = size % (size_t)ranks;
    size_t before = (size_t)rank;
    return whole * before + rest * before / (size_t)ranks;
}

status bucket_send(struct bucket *bucket, const struct plan *plan, int peer, int phase,
    const float *values, size_t count) {
    struct transport_request *request = &bucket->requests[bucket->request_count++];
    *request = (struct transport_request){0};
    if (count > 0) {
        TRY(plan->transport->send(
            plan->transport, request, peer, bucket->tag + phase, values, count * sizeof *values));
    }
    return STATUS_OK;
}

status bucket_receive(struct bucket *bucket, const struct plan *plan, int peer, int phase,
    float *values, size_t count) {
    struct transport_request *request = &bucket->requests[bucket->request_count++];
    *request = (struct transport_request){0};
    if (count > 0) {
        TRY(plan->transport->receive(
            plan->transport, request, peer, bucket->tag + phase, values, count * sizeof *values));
    }
    return STATUS_OK;
}

status bucket_test(struct bucket *bucket, const struct plan *plan, int count, bool *done) {
    *done = true;
    while (bucket->complete < count && *done) {
        TRY(plan->transport->test(plan->transport, &bucket->requests[bucket->complete], done));
        bucket->complete += *done;
    }
    return STATUS_OK;
}

void bucket_reuse_requests(struct bucket *bucket) {
    bucket->request_count = 0;
    bucket->complete = 0;
}
