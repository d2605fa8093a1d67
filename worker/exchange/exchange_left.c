/* What bf16 on the wire has left out. */
#include "worker/exchange/exchange_internal.h"

int exchange_left_count(const struct exchange *exchange) {
    bool narrow = exchange->options.wire == EXCHANGE_BF16 && exchange->plan.nodes > 1;
    return narrow ? 1 + exchange->plan.nodes : 0;
}

static float *vector_of(const struct arena *arena) {
    return (float *)(void *)arena->base;
}

static void touch(struct arena *arena, size_t from, size_t to) {
    arena_touch(arena, from * sizeof(float), to * sizeof(float));
}

status exchange_take_left(struct exchange *exchange) {
    size_t size = exchange->options.vector_size * sizeof(float);
    if (exchange_left_count(exchange) == 0) {
        return STATUS_OK;
    }
    TRY(arena_reserve(&exchange->residual, size));
    TRY(arena_reserve(&exchange->owed, size));
    for (size_t i = 0; i < exchange_pieces(exchange); i++) {
        size_t from, to;
        exchange_piece(&from, &to, exchange, i);
        touch(&exchange->owed, from, to);
    }
    for (size_t bucket = 0; bucket < exchange->buckets; bucket++) {
        for (int c = exchange->node.rank; c < exchange->columns; c += exchange->node.ranks) {
            struct range column = exchange_column(exchange, bucket, c);
            touch(&exchange->residual, column.from, column.to);
        }
    }
    return STATUS_OK;
}

void exchange_place_left(struct column *column, const struct exchange *exchange, size_t from) {
    size_t exact = exchange->plan.exact > from ? exchange->plan.exact - from : 0;
    column->residual = vector_of(&exchange->residual) + from;
    column->owed = vector_of(&exchange->owed) + from;
    column->exact = exact < column->size ? exact : column->size;
}

float *exchange_left_vector(const struct exchange *exchange, int vector) {
    return vector_of(vector == 0 ? &exchange->owed : &exchange->residual);
}
