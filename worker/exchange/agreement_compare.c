#include "worker/exchange/agreement.h"

#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TEXT_LIMIT  ((uint64_t)1 << 20) /* bytes of all names and values of one rank */
#define VALUE_SHOWN 120                 /* of a value in a message */

enum tag { TAG_SIZE = TRANSPORT_TAG_COMPARE, TAG_TEXT, TAG_VERDICT };

/* A rank's host, names and values, one after the other, each with its 0 byte. */
struct text {
    char *bytes;
    uint64_t size;
};

static void text_add(struct text *text, const char *part) {
    size_t size = strlen(part) + 1;
    if (text->bytes != NULL) {
        memcpy(text->bytes + text->size, part, size);
    }
    text->size += size;
}

static status text_pack(struct text *text, const struct transport *transport,
    const struct agreement_value *values, int count) {
    *text = (struct text){0};
    for (int pass = 0; pass < 2; pass++) { /* measure, then write */
        text->size = 0;
        text_add(text, transport->host);
        for (int i = 0; i < count; i++) {
            text_add(text, values[i].name);
            text_add(text, values[i].value);
        }
        if (text->size > TEXT_LIMIT) {
            FAIL(STATUS_USAGE, "%llu bytes of values to compare between ranks: at most %llu",
                (unsigned long long)text->size, (unsigned long long)TEXT_LIMIT);
        }
        if (pass == 0) {
            TRY(MEMORY_ALLOCATE(&text->bytes, text->size));
        }
    }
    return STATUS_OK;
}

/* The next part of a text and the place after it; "" at its end. */
static const char *text_next(const struct text *text, uint64_t *at) {
    if (*at >= text->size) {
        return "";
    }
    const char *part = text->bytes + *at;
    *at += strlen(part) + 1;
    return part;
}

static status text_receive(struct text *text, struct transport *transport, int peer) {
    *text = (struct text){0};
    TRY(transport_receive(transport, peer, TAG_SIZE, &text->size, sizeof text->size));
    if (text->size < 1 || text->size > TEXT_LIMIT) {
        FAIL(STATUS_PEER, "rank %d announces a text of %llu bytes", peer,
            (unsigned long long)text->size);
    }
    TRY(MEMORY_ALLOCATE(&text->bytes, text->size + 1)); /* ends in a 0 byte whatever comes */
    return transport_receive(transport, peer, TAG_TEXT, text->bytes, text->size);
}

/* What rank 0 tells all others in the end. */
struct verdict {
    int32_t code;
    char message[2 * AGREEMENT_MESSAGE];
};

/* The first value in which `rank` is not as rank 0. */
static bool text_compare(
    struct verdict *verdict, const struct text *first, const struct text *other, int rank) {
    uint64_t at = 0, other_at = 0;
    const char *host = text_next(first, &at), *other_host = text_next(other, &other_at);
    while (at < first->size || other_at < other->size) {
        const char *name = text_next(first, &at), *value = text_next(first, &at);
        const char *other_name = text_next(other, &other_at);
        const char *other_value = text_next(other, &other_at);
        if (strcmp(name, other_name) != 0) {
            snprintf(verdict->message, sizeof verdict->message,
                "rank %d (%.63s) has another program: it compares \"%.*s\" where rank 0 (%.63s) "
                "compares \"%.*s\"",
                rank, other_host, VALUE_SHOWN, other_name, host, VALUE_SHOWN, name);
        } else if (strcmp(value, other_value) != 0) {
            snprintf(verdict->message, sizeof verdict->message,
                "rank %d (%.63s) has another %.60s: %.*s, rank 0 (%.63s) has %.*s", rank,
                other_host, name, VALUE_SHOWN, other_value, host, VALUE_SHOWN, value);
        } else {
            continue;
        }
        verdict->code = STATUS_PEER;
        return false;
    }
    return true;
}

/* Rank 0: hears all, and keeps the first difference. */
static status collect(
    struct verdict *verdict, struct transport *transport, const struct text *own) {
    int different = 0;
    for (int rank = 1; rank < transport->ranks; rank++) {
        struct text other;
        struct verdict one = {.code = STATUS_OK};
        status result = text_receive(&other, transport, rank);
        if (result == STATUS_OK && !text_compare(&one, own, &other, rank) && different++ == 0) {
            *verdict = one;
        }
        free(other.bytes);
        TRY(result);
    }
    if (different > 1) {
        size_t length = strlen(verdict->message);
        snprintf(verdict->message + length, sizeof verdict->message - length,
            " (and %d more %s from rank 0)", different - 1,
            different == 2 ? "rank differs" : "ranks differ");
    }
    return STATUS_OK;
}

static status compare(struct transport *transport, const struct text *own) {
    struct verdict verdict = {.code = STATUS_OK};
    if (transport->rank == 0) {
        TRY(collect(&verdict, transport, own));
        for (int rank = 1; rank < transport->ranks; rank++) {
            TRY(transport_send(transport, rank, TAG_VERDICT, &verdict, sizeof verdict));
        }
    } else {
        TRY(transport_send(transport, 0, TAG_SIZE, &own->size, sizeof own->size));
        TRY(transport_send(transport, 0, TAG_TEXT, own->bytes, own->size));
        TRY(transport_receive(transport, 0, TAG_VERDICT, &verdict, sizeof verdict));
    }
    if (verdict.code != STATUS_OK) {
        FAIL((status)verdict.code, "%s", verdict.message);
    }
    return STATUS_OK;
}

status agreement_compare(
    struct transport *transport, const struct agreement_value *values, int count) {
    struct text own;
    /* A rank that cannot even write its text must not leave the others waiting. */
    status result = text_pack(&own, transport, values, count);
    result = agreement_status(transport, result);
    if (result == STATUS_OK) {
        result = compare(transport, &own);
    }
    free(own.bytes);
    TRY(result);
    return STATUS_OK;
}
