#include "shard/order.h"

#include "base/random.h"
#include "base/tree.h"

#include <math.h>

/* As many as the permutations of 5 need to look uniform (tests/shard/test_order.c): 8 show there at
 * once, 12 in 60,000 draws. A round costs one Philox, 10 ns. */
#define ROUNDS 16

/* The smallest a with a * a >= count. The square root only guides: whole numbers decide. */
static uint64_t side_of(uint64_t count) {
    uint64_t side = (uint64_t)sqrt((double)count);
    while (side * side >= count && side > 1) {
        side--;
    }
    while (side * side < count) {
        side++;
    }
    return side;
}

/* The generalised Feistel network of Black and Rogaway ("Ciphers with arbitrary finite domains",
 * CT-RSA 2002) on a x b pairs, a * b >= count: halves are added modulo their own size, so that
 * hardly any position falls outside of the count and has to walk on. */
int64_t order_permute(
    int64_t position, int64_t count, uint64_t seed, uint32_t epoch, uint32_t domain) {
    uint64_t size[2];
    size[0] = side_of((uint64_t)count);
    size[1] = ((uint64_t)count + size[0] - 1) / size[0];
    struct random_place place = {
        .seed = seed, .purpose = RANDOM_SHUFFLE, .unit = domain, .time = epoch};
    uint64_t value = (uint64_t)position;
    do {
        uint64_t half[2] = {value % size[0], value / size[0]};
        for (uint32_t round = 0; round < ROUNDS; round++) {
            uint32_t to = round % 2, words[4];
            place.item = (uint32_t)half[1 - to];
            random_block(words, &place, round);
            half[to] = (half[to] + random_below(words[0], (uint32_t)size[to])) % size[to];
        }
        value = half[1] * size[0] + half[0];
    } while (value >= (uint64_t)count);
    return (int64_t)value;
}

status order_check(const struct order *order) {
    if (order->records < 1 || order->records > ORDER_RECORDS_LIMIT) {
        FAIL(STATUS_INPUT, "a data set of %lld records: must be 1 to %lld",
            (long long)order->records, (long long)ORDER_RECORDS_LIMIT);
    }
    if (!tree_is_power_of_two(order->shards)) {
        FAIL(STATUS_INPUT, "%d shards: must be a power of two", order->shards);
    }
    if (!tree_is_power_of_two(order->leaves) || order->leaves > TREE_LEAVES_LIMIT) {
        FAIL(STATUS_USAGE, "%d leaves a batch: must be a power of two, at most %d", order->leaves,
            TREE_LEAVES_LIMIT);
    }
    if (order->batch < 1 || order->batch % order->leaves != 0) {
        FAIL(STATUS_USAGE, "a batch of %lld pictures: must be a multiple of its %d leaves",
            (long long)order->batch, order->leaves);
    }
    if (order->drop_last && order->records < order->batch) {
        FAIL(STATUS_USAGE,
            "a batch of %lld pictures, but %lld records and the short last step dropped: no step",
            (long long)order->batch, (long long)order->records);
    }
    return STATUS_OK;
}

int64_t order_steps(const struct order *order) {
    int64_t whole = order->records / order->batch;
    return order->drop_last || order->records % order->batch == 0 ? whole : whole + 1;
}

int64_t order_step_pictures(const struct order *order, int64_t step) {
    int64_t left = order->records - step * order->batch;
    return left < order->batch ? left : order->batch;
}

int64_t order_leaf_pictures(const struct order *order, int64_t step, int leaf) {
    return tree_leaf_pictures(order_step_pictures(order, step), order->leaves, leaf);
}

int64_t order_record(
    const struct order *order, uint32_t epoch, int64_t step, int leaf, int64_t index) {
    if (order->shuffle == ORDER_SHARD) {
        /* The leaf's own epoch: as many records as are = leaf (mod M), for every step before this
         * one was full and the last one is cut as base/tree.h cuts the records themselves. */
        int64_t own = tree_leaf_pictures(order->records, order->leaves, leaf);
        int64_t position = step * (order->batch / order->leaves) + index;
        int64_t drawn = order_permute(position, own, order->seed, epoch, (uint32_t)leaf + 1);
        return leaf + order->leaves * drawn;
    }
    int64_t pictures = order_step_pictures(order, step);
    int64_t position = step * order->batch + tree_leaf_start(pictures, order->leaves, leaf) + index;
    return order->shuffle == ORDER_NONE
               ? position
               : order_permute(position, order->records, order->seed, epoch, 0);
}

bool order_needs_shard(const struct order *order, int first, int end, int shard) {
    const int common = order->leaves < order->shards ? order->leaves : order->shards;
    bool needed = order->shuffle != ORDER_SHARD && first < end;
    for (int leaf = first; leaf < end && !needed; leaf++) {
        needed = leaf % common == shard % common;
    }
    return needed;
}
