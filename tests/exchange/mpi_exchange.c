/* The same cases as test_exchange.c, over MPI, and what MPI alone can show. Run by mpirun; rank 0
 * prints, and the exit code is 1 where any rank saw something wrong. */
#include "cases.h"

#include "worker/exchange/agreement.h"

#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CASES 12

static int wrong;

static void expect(struct transport *transport, bool good, const char *what) {
    if (!good) {
        fprintf(stderr, "rank %d: %s\n", transport->rank, what);
        wrong++;
    }
}

static void sums_by_the_tree(struct transport *transport, uint64_t seed) {
    for (int leaves = 1; leaves <= 64; leaves *= 2) {
        if (leaves < transport->ranks) {
            continue;
        }
        for (uint64_t i = 0; i < CASES; i++) {
            struct exchange_case c = case_draw(seed + i, transport->ranks, leaves);
            expect(transport, case_run(transport, &c), "wrong sum");
        }
    }
    for (uint64_t i = 0; i < CASES && transport->ranks <= 16; i++) {
        struct exchange_case c = case_draw(seed + i, transport->ranks, 16);
        c.options.wire = EXCHANGE_BF16;
        c.options.exact = i;
        expect(transport, case_run(transport, &c), "wrong sum in bf16");
    }
    /* Above what MPI sends at once. */
    struct exchange_case c = case_draw(seed, transport->ranks, 16);
    c.options.vector_size = 100003;
    c.options.bucket_size = 40000;
    c.pictures = 40;
    expect(transport, case_run(transport, &c), "wrong sum of a large vector");
}

/* All ranks have what rank 0 has. */
static bool same_on_all(struct transport *transport, uint64_t digest) {
    int64_t sum = (int64_t)(digest >> 16), mine = sum;
    return agreement_sum(transport, &sum, 1) == STATUS_OK && sum == mine * transport->ranks;
}

static void gives_other_bits(
    struct transport *transport, uint64_t seed, enum exchange_algorithm algorithm) {
    struct exchange_case c = case_draw(seed, transport->ranks, 16);
    struct case_outcome outcome;
    c.options.algorithm = algorithm;
    c.options.hold = c.makes = false;
    c.options.grain = 1;
    c.options.bucket_size = 200;
    c.options.vector_size = 480;
    c.pictures = 16;
    expect(transport, case_find_outcome(&outcome, transport, &c), "outcome");
    expect(transport, outcome.error < 1e-6, "another sum");
    expect(transport, same_on_all(transport, outcome.digest), "not the same on all ranks");
    if (algorithm == EXCHANGE_RING) { /* MPI's own order may be anything */
        expect(transport,
            transport->ranks <= 2 ? outcome.differences == 0 : outcome.differences > 50, "ring");
    }
}

static void agrees(struct transport *transport) {
    int last = transport->ranks - 1;
    char expected[256];
    status mine = STATUS_OK;
    if (transport->rank == last) {
        mine = status_fail(STATUS_INPUT, __FILE__, __LINE__, __func__, "bad record");
    }
    snprintf(expected, sizeof expected, "rank %d (%s): bad record", last, transport->host);
    expect(transport, agreement_status(transport, mine) == STATUS_INPUT, "status not agreed");
    expect(transport, strcmp(status_message(), expected) == 0, status_message());
    expect(transport, agreement_status(transport, STATUS_OK) == STATUS_OK, "status not agreed");

    struct agreement_value value = {"seed", transport->rank == last ? "2" : "1"};
    expect(transport, agreement_compare(transport, &value, 1) == STATUS_PEER, "not compared");
    snprintf(expected, sizeof expected, "rank %d (%s) has another seed: 2, rank 0 (%s) has 1", last,
        transport->host, transport->host);
    expect(transport, strcmp(status_message(), expected) == 0, status_message());
    value.value = "1";
    expect(transport, agreement_compare(transport, &value, 1) == STATUS_OK, "not compared");

    int64_t one = 1;
    expect(transport, agreement_sum(transport, &one, 1) == STATUS_OK && one == transport->ranks,
        "not summed");
}

/* All ranks of a test run on one node, or on pretended ones, the first of one rank. */
static void knows_its_place(struct transport *transport) {
    int world_rank, world_size;
    bool pretended = getenv("CONVOY_TEST_NODES") != NULL;
    MPI_Comm_rank(MPI_COMM_WORLD, &world_rank);
    MPI_Comm_size(MPI_COMM_WORLD, &world_size);
    expect(transport, transport->ranks == world_size && transport->rank == world_rank, "rank");
    expect(transport, pretended ? transport->nodes > 1 : transport->nodes == 1, "nodes");
    expect(
        transport, transport->node == 0 ? transport->node_rank == world_rank : pretended, "node");
    expect(transport, pretended || transport->node_ranks == world_size, "node rank");
    expect(transport,
        transport->node_first[transport->node] + transport->node_rank == world_rank &&
            transport->node_first[transport->node + 1] ==
                transport->node_first[transport->node] + transport->node_ranks &&
            transport->node_first[transport->nodes] == world_size,
        "first ranks");
    struct transport_request request;
    char byte = 0;
    expect(transport,
        transport->send(transport, &request, 0, 0, &byte, TRANSPORT_MESSAGE_LIMIT + 1) ==
            STATUS_USAGE,
        "a message of more than 2 GiB was not refused");
}

int main(int count, char **arguments) {
    int threads;
    MPI_Init_thread(&count, &arguments, MPI_THREAD_SERIALIZED, &threads);
    struct transport *transport;
    if (transport_mpi_create(&transport) != STATUS_OK) {
        fprintf(stderr, "%s\n", status_message());
        MPI_Abort(MPI_COMM_WORLD, 1);
    }
    const char *text = getenv("CONVOY_TEST_SEED");
    uint64_t seed = text != NULL ? strtoull(text, NULL, 0) : 20261124;
    if (transport->rank == 0) {
        printf(
            "exchange over MPI: %d ranks, seed %llu\n", transport->ranks, (unsigned long long)seed);
    }
    knows_its_place(transport);
    sums_by_the_tree(transport, seed);
    gives_other_bits(transport, seed, EXCHANGE_RING);
    gives_other_bits(transport, seed, EXCHANGE_NATIVE);
    agrees(transport);
    transport->destroy(transport);
    MPI_Finalize();
    return wrong > 0;
}
