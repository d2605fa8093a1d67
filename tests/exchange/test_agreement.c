#include "ranks.h"
#include "support/support.h"

#include "worker/exchange/agreement.h"

#include <stdio.h>
#include <string.h>

/* What each rank goes in with and comes out with: written by its own thread, read after all. */
struct meeting {
    int failing[2]; /* ranks, or -1 */
    int differing;  /* the rank whose build is another, or -1 */
    int rounds;     /* steps, one after the other */
    status result[RANKS_LIMIT];
    char message[RANKS_LIMIT][1024];
    uint32_t flags[RANKS_LIMIT];
    char decision[RANKS_LIMIT][AGREEMENT_DECISION];
};

static status rank_status(const struct meeting *meeting, int rank) {
    if (rank == meeting->failing[0]) {
        FAIL(STATUS_INPUT, "shard 3, record %d: bad CRC", rank);
    }
    if (rank == meeting->failing[1]) {
        FAIL(STATUS_SYSTEM, "no memory on %d", rank);
    }
    return STATUS_OK;
}

static status meet(struct transport *transport, struct meeting *meeting) {
    int rank = transport->rank;
    struct agreement *agreement;
    TRY(agreement_create(&agreement, transport));
    status result = STATUS_OK;
    for (int round = 0; round < meeting->rounds && result == STATUS_OK; round++) {
        char decision[AGREEMENT_DECISION] = {0};
        snprintf(decision, sizeof decision, "%s %d", rank == 0 ? "rate 0.1" : "nonsense", round);
        bool last = round == meeting->rounds - 1;
        result = agreement_start(agreement, last ? rank_status(meeting, rank) : STATUS_OK,
            1u << rank, decision, sizeof decision);
        if (result == STATUS_OK) {
            result = agreement_finish(agreement, &meeting->flags[rank], decision, sizeof decision);
        }
        memcpy(meeting->decision[rank], decision, sizeof decision);
    }
    agreement_destroy(agreement);
    return result;
}

static bool meet_run(struct transport *transport, void *context) {
    struct meeting *meeting = context;
    meeting->result[transport->rank] = meet(transport, meeting);
    status_message_copy(meeting->message[transport->rank], sizeof meeting->message[0]);
    return true;
}

static bool status_run(struct transport *transport, void *context) {
    struct meeting *meeting = context;
    int rank = transport->rank;
    meeting->result[rank] = agreement_status(transport, rank_status(meeting, rank));
    status_message_copy(meeting->message[rank], sizeof meeting->message[0]);
    return true;
}

static void test_agreement__decision_and_flags_reach_all(void) {
    for (int ranks = 1; ranks <= 17; ranks++) {
        for (int delays = 0; delays < 2; delays++) {
            struct meeting meeting = {.failing = {-1, -1}, .rounds = 5};
            CU_ASSERT_EQUAL(
                ranks_run(ranks, delays ? 1 + test_random() : 0, meet_run, &meeting), 0);
            for (int r = 0; r < ranks; r++) {
                CU_ASSERT_EQUAL(meeting.result[r], STATUS_OK);
                CU_ASSERT_EQUAL(meeting.flags[r], (1u << ranks) - 1);
                CU_ASSERT_STRING_EQUAL(meeting.decision[r], "rate 0.1 4");
            }
        }
    }
}

static void assert_all_fail(
    const struct meeting *meeting, int ranks, status code, const char *message) {
    for (int r = 0; r < ranks; r++) {
        CU_ASSERT_EQUAL(meeting->result[r], code);
        CU_ASSERT_STRING_EQUAL(meeting->message[r], message);
    }
}

static void test_agreement__one_failing_rank_fails_all(void) {
    for (int ranks = 2; ranks <= 9; ranks++) {
        for (int failing = 0; failing < ranks; failing++) {
            struct meeting meeting = {.failing = {failing, -1}, .rounds = 2};
            char message[128];
            snprintf(message, sizeof message, "rank %d (thread%d): shard 3, record %d: bad CRC",
                failing, failing, failing);
            CU_ASSERT_EQUAL(ranks_run(ranks, 0, meet_run, &meeting), 0);
            assert_all_fail(&meeting, ranks, STATUS_INPUT, message);
            CU_ASSERT_EQUAL(ranks_run(ranks, 0, status_run, &meeting), 0);
            assert_all_fail(&meeting, ranks, STATUS_INPUT, message);
        }
    }
}

static void test_agreement__lowest_failing_rank_speaks(void) {
    for (int ranks = 3; ranks <= 9; ranks++) {
        struct meeting meeting = {.failing = {ranks - 1, 1}, .rounds = 1};
        CU_ASSERT_EQUAL(ranks_run(ranks, 1 + test_random(), meet_run, &meeting), 0);
        assert_all_fail(&meeting, ranks, STATUS_SYSTEM, "rank 1 (thread1): no memory on 1");
    }
}

static void test_agreement__one_rank_alone_has_no_prefix(void) {
    struct meeting meeting = {.failing = {0, -1}, .rounds = 1};
    CU_ASSERT_EQUAL(ranks_run(1, 0, status_run, &meeting), 0);
    assert_all_fail(&meeting, 1, STATUS_INPUT, "shard 3, record 0: bad CRC");
}

static bool compare_run(struct transport *transport, void *context) {
    struct meeting *meeting = context;
    int rank = transport->rank;
    bool other = rank == meeting->differing || (meeting->failing[0] > 0 && rank > 0);
    struct agreement_value values[] = {
        {"recipe", "aa"}, {"build", other ? "0a1b" : "77fe"}, {"seed", "1"}};
    int count = rank == meeting->failing[1] ? 2 : 3;
    meeting->result[rank] = agreement_compare(transport, values, count);
    status_message_copy(meeting->message[rank], sizeof meeting->message[0]);
    return true;
}

static void test_agreement__compare_names_who_differs(void) {
    for (int ranks = 1; ranks <= 5; ranks++) {
        struct meeting meeting = {.failing = {-1, -1}, .differing = -1};
        CU_ASSERT_EQUAL(ranks_run(ranks, 0, compare_run, &meeting), 0);
        for (int r = 0; r < ranks; r++) {
            CU_ASSERT_EQUAL(meeting.result[r], STATUS_OK);
        }
        for (int other = 1; other < ranks; other++) {
            char message[200];
            meeting.differing = other;
            snprintf(message, sizeof message,
                "rank %d (thread%d) has another build: 0a1b, rank 0 (thread0) has 77fe", other,
                other);
            CU_ASSERT_EQUAL(ranks_run(ranks, 0, compare_run, &meeting), 0);
            assert_all_fail(&meeting, ranks, STATUS_PEER, message);
        }
    }
    struct meeting meeting = {.failing = {1, -1}, .differing = -1};
    CU_ASSERT_EQUAL(ranks_run(4, 0, compare_run, &meeting), 0);
    assert_all_fail(&meeting, 4, STATUS_PEER,
        "rank 1 (thread1) has another build: 0a1b, rank 0 (thread0) has 77fe (and 2 more ranks "
        "differ from rank 0)");
    meeting = (struct meeting){.failing = {-1, 2}, .differing = -1};
    CU_ASSERT_EQUAL(ranks_run(3, 0, compare_run, &meeting), 0);
    assert_all_fail(&meeting, 3, STATUS_PEER,
        "rank 2 (thread2) has another program: it compares \"\" where rank 0 (thread0) compares "
        "\"seed\"");
}

static bool long_run(struct transport *transport, void *context) {
    struct meeting *meeting = context;
    static char text[2][100001]; /* the same but for the last byte */
    if (transport->rank == 0) {
        memset(text, 'x', sizeof text);
        text[0][100000] = text[1][100000] = '\0';
        text[1][99999] = 'y';
    }
    if (agreement_status(transport, STATUS_OK) != STATUS_OK) {
        return false;
    }
    struct agreement_value value = {"recipe", text[transport->rank]};
    meeting->result[transport->rank] = agreement_compare(transport, &value, 1);
    status_message_copy(meeting->message[transport->rank], sizeof meeting->message[0]);
    return true;
}

static void test_agreement__compare_takes_long_values(void) {
    struct meeting meeting = {0};
    CU_ASSERT_EQUAL(ranks_run(2, 0, long_run, &meeting), 0);
    CU_ASSERT_EQUAL(meeting.result[0], STATUS_PEER);
    CU_ASSERT_EQUAL(meeting.result[1], STATUS_PEER);
    CU_ASSERT_PTR_NOT_NULL(strstr(meeting.message[1], "rank 1 (thread1) has another recipe: xxx"));
    CU_ASSERT_PTR_NOT_NULL(strstr(meeting.message[0], "rank 0 (thread0) has xxx"));
}

static bool numbers_run(struct transport *transport, void *context) {
    (void)context;
    int ranks = transport->ranks, rank = transport->rank;
    int64_t sums[2] = {rank + 1, (int64_t)1 << 60 >> rank};
    double all[RANKS_LIMIT][2], mine[2] = {rank, rank / 7.0};
    bool good = agreement_sum(transport, sums, 2) == STATUS_OK &&
                agreement_gather(transport, all[0], mine, 2) == STATUS_OK;
    good = good && sums[0] == ranks * (ranks + 1) / 2 &&
           sums[1] == ((int64_t)1 << 61) - ((int64_t)1 << 61 >> ranks);
    for (int r = 0; r < ranks && rank == 0; r++) {
        good = good && all[r][0] == r && all[r][1] == r / 7.0;
    }
    return good;
}

static void test_agreement__sums_and_gathers_numbers(void) {
    for (int ranks = 1; ranks <= 17; ranks++) {
        CU_ASSERT_EQUAL(ranks_run(ranks, 0, numbers_run, NULL), 0);
    }
}

TEST_MAIN("agreement", TEST(test_agreement__decision_and_flags_reach_all),
    TEST(test_agreement__one_failing_rank_fails_all),
    TEST(test_agreement__lowest_failing_rank_speaks),
    TEST(test_agreement__one_rank_alone_has_no_prefix),
    TEST(test_agreement__compare_names_who_differs),
    TEST(test_agreement__compare_takes_long_values), TEST(test_agreement__sums_and_gathers_numbers))
