#include "worker/exchange/agreement.h"

#include "base/memory.h"

#include <assert.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum tag {
    TAG_TEXT_SIZE = TRANSPORT_TAG_AGREEMENT,
    TAG_TEXT,
    TAG_VERDICT,
    TAG_NUMBERS,
    TAG_ROUND /* and one a round */
};

#define HOST_SIZE   64
#define TEXT_LIMIT  ((uint64_t)1 << 20) /* bytes of all names and values of one rank */
#define VALUE_SHOWN 120                 /* of a value in a message */
#define ROUNDS      31
#define NOBODY      INT32_MAX

/* What one rank knows of all: the one message of a round. Merging it twice changes nothing, so a
 * rank may hear of another by several ways. */
struct knowledge {
    int32_t failed_rank; /* the lowest rank that cannot go on, or NOBODY */
    int32_t code;        /* its status */
    uint32_t flags;
    bool decided; /* `decision` is rank 0's */
    char host[HOST_SIZE];
    char message[AGREEMENT_MESSAGE];
    unsigned char decision[AGREEMENT_DECISION];
};

/* Dissemination (Hensgen, Finkel, Manber 1988): in round k each rank tells rank + 2^k all it knows
 * and hears from rank - 2^k; after ceil(log2 P) rounds everyone knows of everyone, for any P. */
struct agreement {
    struct transport *transport;
    int round, rounds;
    bool under_way;
    struct knowledge known;
    struct knowledge told[ROUNDS]; /* what was sent must stay until it has gone */
    struct knowledge heard;
    struct transport_request sends[ROUNDS], receive;
};

static void agreement_init(struct agreement *agreement, struct transport *transport) {
    memset(agreement, 0, sizeof *agreement);
    agreement->transport = transport;
    while ((int64_t)1 << agreement->rounds < transport->ranks) {
        agreement->rounds++;
    }
}

status agreement_create(struct agreement **agreement, struct transport *transport) {
    TRY(MEMORY_ALLOCATE(agreement, 1));
    agreement_init(*agreement, transport);
    return STATUS_OK;
}

void agreement_destroy(struct agreement *agreement) {
    free(agreement);
}

static void merge(struct knowledge *known, const struct knowledge *heard) {
    known->flags |= heard->flags;
    if (heard->decided && !known->decided) {
        known->decided = true;
        memcpy(known->decision, heard->decision, sizeof known->decision);
    }
    if (heard->failed_rank < known->failed_rank) {
        known->failed_rank = heard->failed_rank;
        known->code = heard->code;
        memcpy(known->host, heard->host, sizeof known->host);
        memcpy(known->message, heard->message, sizeof known->message);
    }
}

static status start_round(struct agreement *agreement) {
    struct transport *transport = agreement->transport;
    int k = agreement->round, distance = (1 << k) % transport->ranks;
    int to = (transport->rank + distance) % transport->ranks;
    int from = (transport->rank + transport->ranks - distance) % transport->ranks;
    agreement->told[k] = agreement->known;
    TRY(transport->receive(transport, &agreement->receive, from, TAG_ROUND + k, &agreement->heard,
        sizeof agreement->heard));
    return transport->send(transport, &agreement->sends[k], to, TAG_ROUND + k, &agreement->told[k],
        sizeof agreement->told[k]);
}

status agreement_start(struct agreement *agreement, status mine, uint32_t flags,
    const void *decision, size_t decision_size) {
    struct transport *transport = agreement->transport;
    struct knowledge *known = &agreement->known;
    assert(!agreement->under_way && decision_size <= AGREEMENT_DECISION);
    memset(known, 0, sizeof *known);
    known->failed_rank = mine == STATUS_OK ? NOBODY : transport->rank;
    known->code = mine;
    known->flags = flags;
    if (mine != STATUS_OK) {
        snprintf(known->host, sizeof known->host, "%s", transport->host);
        status_message_copy(known->message, sizeof known->message);
    }
    if (transport->rank == 0) {
        known->decided = true;
        if (decision_size > 0) {
            memcpy(known->decision, decision, decision_size);
        }
    }
    agreement->under_way = true;
    agreement->round = 0;
    return agreement->rounds > 0 ? start_round(agreement) : STATUS_OK;
}

status agreement_progress(struct agreement *agreement, bool *done) {
    struct transport *transport = agreement->transport;
    while (agreement->round < agreement->rounds) {
        TRY(transport->test(transport, &agreement->receive, done));
        if (!*done) {
            return STATUS_OK;
        }
        merge(&agreement->known, &agreement->heard);
        agreement->round++;
        if (agreement->round < agreement->rounds) {
            TRY(start_round(agreement));
        }
    }
    *done = true;
    for (int k = 0; k < agreement->rounds && *done; k++) {
        TRY(transport->test(transport, &agreement->sends[k], done));
    }
    return STATUS_OK;
}

/* The failure that was agreed on becomes this rank's own. */
static status fail_as_agreed(const struct transport *transport, const struct knowledge *known) {
    status_adopt((status)known->code, known->message);
    if (transport->ranks > 1) {
        status_prefix((status)known->code, "rank %d (%s)", (int)known->failed_rank, known->host);
    }
    return (status)known->code;
}

status agreement_finish(
    struct agreement *agreement, uint32_t *flags, void *decision, size_t decision_size) {
    struct transport *transport = agreement->transport;
    assert(agreement->under_way && decision_size <= AGREEMENT_DECISION);
    for (;;) {
        bool done;
        TRY(agreement_progress(agreement, &done));
        if (done) {
            break;
        }
        transport->pause(transport);
    }
    agreement->under_way = false;
    const struct knowledge *known = &agreement->known;
    if (known->failed_rank != NOBODY) {
        TRY(fail_as_agreed(transport, known));
    }
    if (flags != NULL) {
        *flags = known->flags;
    }
    if (decision_size > 0) {
        memcpy(decision, known->decision, decision_size);
    }
    return STATUS_OK;
}

status agreement_status(struct transport *transport, status mine) {
    struct agreement agreement;
    agreement_init(&agreement, transport);
    TRY(agreement_start(&agreement, mine, 0, NULL, 0));
    return agreement_finish(&agreement, NULL, NULL, 0);
}

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

static status blocking_send(
    struct transport *transport, int peer, int tag, const void *bytes, size_t size) {
    struct transport_request request;
    TRY(transport->send(transport, &request, peer, tag, bytes, size));
    return transport_wait(transport, &request);
}

static status blocking_receive(
    struct transport *transport, int peer, int tag, void *bytes, size_t size) {
    struct transport_request request;
    TRY(transport->receive(transport, &request, peer, tag, bytes, size));
    return transport_wait(transport, &request);
}

status agreement_gather(struct transport *transport, double *all, const double *mine, int count) {
    size_t size = (size_t)count * sizeof *mine;
    if (transport->rank != 0) {
        return blocking_send(transport, 0, TAG_NUMBERS, mine, size);
    }
    memcpy(all, mine, size);
    for (int rank = 1; rank < transport->ranks; rank++) {
        TRY(blocking_receive(
            transport, rank, TAG_NUMBERS, all + (size_t)rank * (size_t)count, size));
    }
    return STATUS_OK;
}

/* Up the tree in which rank r hangs below r without its lowest bit, and down again. */
status agreement_sum(struct transport *transport, int64_t *values, int count) {
    int rank = transport->rank, ranks = transport->ranks;
    size_t size = (size_t)count * sizeof *values;
    int64_t *other;
    TRY(MEMORY_ALLOCATE(&other, (size_t)count));
    status result = STATUS_OK;
    int bit = 1;
    for (; bit < ranks && !(rank & bit); bit *= 2) {
        if (rank + bit < ranks) {
            TRY_TO(out, result, blocking_receive(transport, rank + bit, TAG_NUMBERS, other, size));
            for (int i = 0; i < count; i++) {
                values[i] += other[i];
            }
        }
    }
    if (rank > 0) {
        int above = rank - bit;
        TRY_TO(out, result, blocking_send(transport, above, TAG_NUMBERS, values, size));
        TRY_TO(out, result, blocking_receive(transport, above, TAG_NUMBERS, values, size));
    }
    for (bit /= 2; bit >= 1; bit /= 2) {
        if (rank + bit < ranks) {
            TRY_TO(out, result, blocking_send(transport, rank + bit, TAG_NUMBERS, values, size));
        }
    }
out:
    free(other);
    return result;
}

static status text_receive(struct text *text, struct transport *transport, int peer) {
    *text = (struct text){0};
    TRY(blocking_receive(transport, peer, TAG_TEXT_SIZE, &text->size, sizeof text->size));
    if (text->size < 1 || text->size > TEXT_LIMIT) {
        FAIL(STATUS_PEER, "rank %d announces a text of %llu bytes", peer,
            (unsigned long long)text->size);
    }
    TRY(MEMORY_ALLOCATE(&text->bytes, text->size + 1)); /* ends in a 0 byte whatever comes */
    return blocking_receive(transport, peer, TAG_TEXT, text->bytes, text->size);
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
            TRY(blocking_send(transport, rank, TAG_VERDICT, &verdict, sizeof verdict));
        }
    } else {
        TRY(blocking_send(transport, 0, TAG_TEXT_SIZE, &own->size, sizeof own->size));
        TRY(blocking_send(transport, 0, TAG_TEXT, own->bytes, own->size));
        TRY(blocking_receive(transport, 0, TAG_VERDICT, &verdict, sizeof verdict));
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
