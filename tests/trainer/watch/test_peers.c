/* Two ranks' side channels in one process, on addresses of this host alone. */
#include "support/support.h"
#include "trainer/watch/peers.h"

#include <arpa/inet.h>
#include <mpi.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define KEY 4711

struct pair {
    struct peers open[2], rank[2]; /* as they were opened alone, and as ranks of one job */
    struct peer peer[2];
    struct answer answer[2][2];
};

/* Ranks on two nodes, each of which says that it can be reached at `address` alone. */
static void set_up(struct pair *pair, const char *address) {
    const struct transport alone = {.ranks = 1, .nodes = 1, .host = "here"};
    memset(pair, 0, sizeof *pair);
    for (int r = 0; r < 2; r++) {
        CU_ASSERT_EQUAL_FATAL(peers_open(&pair->open[r], &alone), STATUS_OK);
        pair->peer[r] =
            (struct peer){.rank = r, .node = r, .port = pair->open[r].peer[0].port, .host = "here"};
        CU_ASSERT_EQUAL_FATAL(inet_pton(AF_INET6, address, &pair->peer[r].address[0]), 1);
        pair->rank[r] = (struct peers){.socket = pair->open[r].socket,
            .has_ipv6 = pair->open[r].has_ipv6,
            .rank = r,
            .ranks = 2,
            .node = r,
            .key = KEY,
            .peer = pair->peer,
            .answer = pair->answer[r]};
    }
}

static void tear_down(struct pair *pair) {
    peers_close(&pair->open[0]);
    peers_close(&pair->open[1]);
}

static struct heart_beat beat_of(int rank) {
    const struct heart_place nobody = {.rank = HEART_NOBODY};
    return (struct heart_beat){.from = rank,
        .behind = nobody,
        .waiter = nobody,
        .verdict = {.rank = HEART_NOBODY, .by = rank}};
}

/* Whether a beat of rank `from` comes to the other one. */
static bool passes(struct pair *pair, int from) {
    struct heart_beat sent = beat_of(from), got;
    struct pollfd there = {.fd = pair->rank[1 - from].socket, .events = POLLIN};
    peers_send(&pair->rank[from], 1 - from, &sent);
    return poll(&there, 1, 2000) == 1 && peers_receive(&pair->rank[1 - from], &got) &&
           got.from == from;
}

static void check_both_ways(const char *address) {
    struct pair pair;
    struct in6_addr wanted;
    set_up(&pair, address);
    inet_pton(AF_INET6, address, &wanted);
    CU_ASSERT_TRUE(passes(&pair, 0));
    CU_ASSERT_TRUE(IN6_ARE_ADDR_EQUAL(&pair.answer[1][0].address, &wanted));
    CU_ASSERT_EQUAL(pair.answer[1][0].port, pair.peer[0].port);
    /* Now rank 1 knows where rank 0 wrote from, and needs no other address. */
    pair.peer[0].address[0] = in6addr_any;
    CU_ASSERT_TRUE(passes(&pair, 1));
    tear_down(&pair);
}

static bool has_ipv6(void) {
    const struct sockaddr_in6 here = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback};
    int tried = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool has = tried >= 0 && bind(tried, (const struct sockaddr *)&here, sizeof here) == 0;
    close(tried);
    return has;
}

static void test_peers__reach_each_other_by_ipv4(void) {
    check_both_ways("::ffff:127.0.0.1");
}

static void test_peers__reach_each_other_by_ipv6(void) {
    if (has_ipv6()) {
        check_both_ways("::1");
    } else {
        printf("no IPv6 on this machine: ");
    }
}

static void test_peers__ipv4_alone_passes_over_what_it_cannot_reach(void) {
    struct pair pair;
    set_up(&pair, "::1");
    const int sockets[2] = {pair.rank[0].socket, pair.rank[1].socket};
    for (int r = 0; r < 2; r++) { /* as where the system has no IPv6 */
        struct sockaddr_in here = {.sin_family = AF_INET};
        socklen_t size = sizeof here;
        pair.rank[r].has_ipv6 = false;
        pair.rank[r].socket = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        CU_ASSERT_EQUAL_FATAL(bind(pair.rank[r].socket, (struct sockaddr *)&here, size), 0);
        CU_ASSERT_EQUAL_FATAL(getsockname(pair.rank[r].socket, (struct sockaddr *)&here, &size), 0);
        pair.peer[r].port = ntohs(here.sin_port);
        CU_ASSERT_EQUAL_FATAL(inet_pton(AF_INET6, "::ffff:127.0.0.1", &pair.peer[r].address[1]), 1);
    }
    CU_ASSERT_TRUE(passes(&pair, 0));
    CU_ASSERT_TRUE(passes(&pair, 1));
    for (int r = 0; r < 2; r++) {
        close(pair.rank[r].socket);
        pair.rank[r].socket = sockets[r];
    }
    tear_down(&pair);
}

static void test_peers__strangers_are_not_heard(void) {
    struct pair pair;
    set_up(&pair, "::ffff:127.0.0.1");
    pair.rank[0].key = KEY + 1;
    CU_ASSERT_FALSE(passes(&pair, 0));
    CU_ASSERT_EQUAL(pair.answer[1][0].port, 0);
    tear_down(&pair);
}

static void test_peers__tell_addresses_that_others_can_use(void) {
    struct pair pair;
    set_up(&pair, "::1");
    bool ended = false;
    for (int a = 0; a < PEERS_ADDRESSES; a++) {
        const struct in6_addr *address = &pair.open[0].peer[0].address[a];
        ended = ended || IN6_IS_ADDR_UNSPECIFIED(address);
        CU_ASSERT_EQUAL(ended, IN6_IS_ADDR_UNSPECIFIED(address));
        CU_ASSERT_FALSE(IN6_IS_ADDR_LINKLOCAL(address));
        CU_ASSERT_FALSE(IN6_IS_ADDR_LOOPBACK(address));
    }
    tear_down(&pair);
}

/* Of one rank: peers_open asks MPI. */
int main(int count, char **arguments) {
    const struct test tests[] = {TEST(test_peers__reach_each_other_by_ipv4),
        TEST(test_peers__reach_each_other_by_ipv6),
        TEST(test_peers__ipv4_alone_passes_over_what_it_cannot_reach),
        TEST(test_peers__strangers_are_not_heard),
        TEST(test_peers__tell_addresses_that_others_can_use)};
    MPI_Init(&count, &arguments);
    int code = test_main("peers", tests, (int)(sizeof tests / sizeof *tests));
    MPI_Finalize();
    return code;
}
