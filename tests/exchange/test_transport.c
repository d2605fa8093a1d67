#include "ranks.h"
#include "support/support.h"

#include <string.h>

/* Everyone to everyone, two messages with one tag and one with another, of known contents. */
static bool everyone_run(struct transport *transport, void *context) {
    (void)context;
    enum { MESSAGES = 3 };
    int ranks = transport->ranks, rank = transport->rank;
    struct transport_request sends[RANKS_LIMIT * MESSAGES] = {0};
    struct transport_request receives[RANKS_LIMIT * MESSAGES] = {0};
    int out[RANKS_LIMIT * MESSAGES], in[RANKS_LIMIT * MESSAGES];
    bool good = true;
    for (int i = 0; i < ranks * MESSAGES; i++) {
        int peer = i / MESSAGES, tag = i % MESSAGES == 2 ? 7 : 5;
        out[i] = rank * 1000 + i;
        in[i] = -1;
        good =
            good &&
            transport->receive(transport, &receives[i], peer, tag, &in[i], sizeof in[i]) ==
                STATUS_OK &&
            transport->send(transport, &sends[i], peer, tag, &out[i], sizeof out[i]) == STATUS_OK;
    }
    for (int i = ranks * MESSAGES - 1; i >= 0; i--) {
        good = good && transport_wait(transport, &receives[i]) == STATUS_OK &&
               transport_wait(transport, &sends[i]) == STATUS_OK && !sends[i].active;
        good = good && in[i] == i / MESSAGES * 1000 + rank * MESSAGES + i % MESSAGES;
    }
    int64_t bytes = (int64_t)sizeof(int) * ranks * MESSAGES;
    return good && transport->bytes_sent == bytes && transport->bytes_received == bytes;
}

static void test_transport__messages_of_one_tag_keep_their_order(void) {
    for (int ranks = 1; ranks <= 8; ranks++) {
        for (int round = 0; round < 8; round++) {
            CU_ASSERT_EQUAL(
                ranks_run(ranks, round > 0 ? test_random() + 1u : 0, everyone_run, NULL), 0);
        }
    }
}

static bool sizes_run(struct transport *transport, void *context) {
    (void)context;
    char bytes[8] = {0};
    status result = transport->rank == 0 ? transport_send(transport, 1, 3, bytes, 4)
                                         : transport_receive(transport, 0, 3, bytes, 8);
    return result == STATUS_PEER && strstr(status_message(), "other end has") != NULL &&
           transport->failed;
}

static void test_transport__refuses_sizes_that_differ(void) {
    CU_ASSERT_EQUAL(ranks_run(2, 0, sizes_run, NULL), 0);
}

/* A send is complete only when it was received: what is not received is still ours. */
static bool unreceived_run(struct transport *transport, void *context) {
    int *seen = context;
    struct transport_request request;
    int value = 1, go = 0;
    bool done = false, good;
    if (transport->rank == 1) {
        good = transport_receive(transport, 0, 2, &go, sizeof go) == STATUS_OK;
        return good && transport_receive(transport, 0, 1, seen, sizeof *seen) == STATUS_OK;
    }
    good = transport->send(transport, &request, 1, 1, &value, sizeof value) == STATUS_OK;
    for (int i = 0; i < 100; i++) {
        good = good && transport->test(transport, &request, &done) == STATUS_OK && !done;
    }
    value = 2;
    good = good && transport_send(transport, 1, 2, &go, sizeof go) == STATUS_OK;
    return good && transport_wait(transport, &request) == STATUS_OK;
}

static void test_transport__nothing_is_buffered_in_memory(void) {
    int seen = 0;
    CU_ASSERT_EQUAL(ranks_run(2, 0, unreceived_run, &seen), 0);
    CU_ASSERT_EQUAL(seen, 2);
}

TEST_MAIN("transport", TEST(test_transport__messages_of_one_tag_keep_their_order),
    TEST(test_transport__refuses_sizes_that_differ),
    TEST(test_transport__nothing_is_buffered_in_memory))
