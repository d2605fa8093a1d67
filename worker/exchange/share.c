#include "worker/exchange/share.h"

#include "base/memory.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#define PAGE      ((size_t)4096)
#define HUGE_PAGE ((size_t)2 << 20)

/* At the start of the memory: ranks that are threads of one process share one mapping of it. */
struct share_header {
    atomic_int users;
};

/* What the first rank of the node tells each other one. */
struct invitation {
    int32_t code; /* a status: whether there is memory */
    struct shared_memory_key key;
    uint64_t base; /* where it lies in the first one's process */
    uint64_t size; /* in all */
};

/* A part starts on a page of its own, a large one on a huge page. */
static size_t part_size(size_t size) {
    size_t page = size < HUGE_PAGE ? PAGE : HUGE_PAGE;
    return (size + page - 1) / page * page;
}

static int first_rank(const struct transport *transport) {
    return transport->rank - transport->node_rank;
}

/* Brings `size` bytes of every rank to the first, in all[node_ranks]. */
static status gather(struct transport *transport, void *all, const void *mine, size_t size) {
    if (transport->node_rank > 0) {
        return transport_send(transport, first_rank(transport), TRANSPORT_TAG_SHARE, mine, size);
    }
    for (int r = 1; r < transport->node_ranks; r++) {
        TRY(transport_receive(transport, transport->rank + r, TRANSPORT_TAG_SHARE,
            (char *)all + (size_t)r * size, size));
    }
    return STATUS_OK;
}

static status spread(struct transport *transport, void *bytes, size_t size) {
    if (transport->node_rank > 0) {
        return transport_receive(
            transport, first_rank(transport), TRANSPORT_TAG_SHARE + 1, bytes, size);
    }
    for (int r = 1; r < transport->node_ranks; r++) {
        TRY(transport_send(transport, transport->rank + r, TRANSPORT_TAG_SHARE + 1, bytes, size));
    }
    return STATUS_OK;
}

/* Whether all ranks of the node are well; if not, all fail. */
static status agree(struct transport *transport, status mine, int32_t *codes) {
    int32_t code = mine, worst = mine;
    TRY(gather(transport, codes, &code, sizeof code));
    for (int r = 1; transport->node_rank == 0 && r < transport->node_ranks; r++) {
        worst = worst != STATUS_OK ? worst : codes[r];
    }
    TRY(spread(transport, &worst, sizeof worst));
    if (worst != STATUS_OK && mine == STATUS_OK) {
        FAIL((status)worst, "another rank of this node cannot share memory");
    }
    return mine;
}

static status make(struct share *share, size_t size) {
    TRY(shared_memory_create(&share->memory, size));
    TRY(shared_memory_reserve(&share->memory, 0, PAGE));
    share->header = (struct share_header *)(void *)share->memory.base;
    atomic_store(&share->header->users, 1);
    return STATUS_OK;
}

static struct invitation invite(struct share *share, const uint64_t *sizes, int ranks) {
    struct invitation invitation = {.size = PAGE};
    for (int r = 0; r < ranks; r++) {
        /* Room to begin every part at a huge page. */
        invitation.size += part_size((size_t)sizes[r]) + HUGE_PAGE;
    }
    invitation.code = make(share, (size_t)invitation.size);
    invitation.key = shared_memory_get_key(&share->memory);
    invitation.base = (uintptr_t)share->memory.base;
    return invitation;
}

static status join(struct share *share, const struct invitation *invitation) {
    if (invitation->code != STATUS_OK) {
        FAIL((status)invitation->code, "another rank of this node cannot share memory");
    }
    if (invitation->key.process != getpid()) {
        return shared_memory_open(&share->memory, &invitation->key, (size_t)invitation->size);
    }
    share->memory = (struct shared_memory){
        .base = (unsigned char *)(uintptr_t)invitation->base,
        .size = (size_t)invitation->size,
        .file = invitation->key.file,
    };
    share->header = (struct share_header *)(void *)share->memory.base;
    atomic_fetch_add(&share->header->users, 1);
    return STATUS_OK;
}

static size_t place_parts(struct share *share, const uint64_t *sizes, int ranks, int own) {
    size_t at = PAGE, mine = 0; /* the header has the first page */
    for (int r = 0; r < ranks; r++) {
        size_t size = part_size((size_t)sizes[r]);
        size_t page = size < HUGE_PAGE ? PAGE : HUGE_PAGE;
        at = (at + page - 1) / page * page;
        share->part[r] = share->memory.base + at;
        mine = r == own ? at : mine;
        at += size;
    }
    return mine;
}

/* Takes the pages of this rank's own part, near to it, and then sees to it that all are mapped. */
static status reserve(struct share *share, struct transport *transport, const uint64_t *sizes,
    size_t own, int32_t *codes) {
    int rank = transport->node_rank;
    status mine = shared_memory_reserve(&share->memory, own, part_size((size_t)sizes[rank]));
    TRY(agree(transport, mine, codes));
    for (int r = 0; r < transport->node_ranks && mine == STATUS_OK; r++) {
        size_t from = (size_t)(share->part[r] - share->memory.base);
        mine = shared_memory_reserve(&share->memory, from, part_size((size_t)sizes[r]));
    }
    return agree(transport, mine, codes);
}

static status create(
    struct share *share, struct transport *transport, uint64_t *sizes, int32_t *codes) {
    struct invitation invitation = {0};
    uint64_t mine = sizes[transport->node_rank];
    TRY(gather(transport, sizes, &mine, sizeof mine));
    TRY(spread(transport, sizes, (size_t)transport->node_ranks * sizeof *sizes));
    if (transport->node_rank == 0) {
        invitation = invite(share, sizes, transport->node_ranks);
    }
    TRY(spread(transport, &invitation, sizeof invitation));
    status joined = transport->node_rank == 0 ? (status)invitation.code : join(share, &invitation);
    TRY(agree(transport, joined, codes));
    size_t own = place_parts(share, sizes, transport->node_ranks, transport->node_rank);
    return reserve(share, transport, sizes, own, codes);
}

status share_create(struct share *share, struct transport *transport, size_t size) {
    size_t ranks = (size_t)transport->node_ranks;
    uint64_t *sizes = NULL;
    int32_t *codes = NULL;
    *share = (struct share){0};
    status result;
    TRY_TO(done, result, MEMORY_ALLOCATE(&sizes, ranks));
    TRY_TO(done, result, MEMORY_ALLOCATE(&codes, ranks));
    TRY_TO(done, result, MEMORY_ALLOCATE(&share->part, ranks));
    sizes[transport->node_rank] = size;
    result = create(share, transport, sizes, codes);
done:
    free(sizes);
    free(codes);
    if (result != STATUS_OK) {
        share_release(share);
    }
    return result;
}

void share_release(struct share *share) {
    bool last = share->header == NULL || atomic_fetch_sub(&share->header->users, 1) == 1;
    if (last) {
        shared_memory_release(&share->memory);
    }
    free(share->part);
    *share = (struct share){0};
}
