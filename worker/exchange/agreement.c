#include "worker/exchange/agreement.h"

#include "base/memory.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOST_SIZE 64
#define ROUNDS    31
#define NOBODY    INT32_MAX

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
    enum activity_phase phase; /* of a wait for it */
    struct knowledge known;
    struct knowledge told[ROUNDS]; /* what was sent must stay until it has gone */
    struct knowledge heard;
    struct transport_request sends[ROUNDS], receive;
};

static void agreement_init(struct agreement *agreement, struct transport *transport) {
    memset(agreement, 0, sizeof *agreement);
    agreement->transport = transport;
    agreement->phase = ACTIVITY_AGREEMENT;
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
    TRY(transport->receive(transport, &agreement->receive, from, TRANSPORT_TAG_AGREEMENT + k,
        &agreement->heard, sizeof agreement->heard));
    return transport->send(transport, &agreement->sends[k], to, TRANSPORT_TAG_AGREEMENT + k,
        &agreement->told[k], sizeof agreement->told[k]);
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

static status wait_for_all(struct agreement *agreement) {
    struct transport *transport = agreement->transport;
    bool done;
    TRY(agreement_progress(agreement, &done));
    if (done) {
        return STATUS_OK;
    }
    const struct activity_now before = activity_enter(transport->activity, agreement->phase, -1);
    status result = STATUS_OK;
    while (!done && result == STATUS_OK) {
        transport->pause(transport);
        result = agreement_progress(agreement, &done);
    }
    activity_leave(transport->activity, before);
    return result;
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
    TRY(wait_for_all(agreement));
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

int64_t agreement_bytes(int ranks) {
    int64_t messages = 0;
    for (int64_t known = 1; known < ranks; known *= 2) { /* a rank and those it has heard of */
        messages++;
    }
    return messages * (int64_t)sizeof(struct knowledge);
}

status agreement_status(struct transport *transport, status mine) {
    return agreement_status_in(ACTIVITY_AGREEMENT, transport, mine);
}

status agreement_status_in(enum activity_phase phase, struct transport *transport, status mine) {
    struct agreement agreement;
    agreement_init(&agreement, transport);
    agreement.phase = phase;
    TRY(agreement_start(&agreement, mine, 0, NULL, 0));
    return agreement_finish(&agreement, NULL, NULL, 0);
}
