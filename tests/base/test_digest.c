#include "base/digest.h"
#include "support/support.h"

#include <string.h>

static void test_digest__is_xxh3(void) {
    char text[17];
    /* The value of nothing at all, as xxhsum -H3 prints it. */
    CU_ASSERT_STRING_EQUAL(digest_text(digest_bytes("", 0), text), "2d06800538d394c2");
    CU_ASSERT_STRING_EQUAL(digest_text(0xab, text), "00000000000000ab");
}

static void test_digest__every_byte_and_the_order_of_pieces_count(void) {
    unsigned char bytes[300] = {0};
    uint64_t whole = digest_bytes(bytes, sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] ^= 1;
        CU_ASSERT_NOT_EQUAL(digest_bytes(bytes, sizeof bytes), whole);
        bytes[i] ^= 1;
    }
    CU_ASSERT_NOT_EQUAL(digest_bytes(bytes, sizeof bytes - 1), whole);
    uint64_t one = digest_add(digest_add(0, "ab", 2), "c", 1);
    CU_ASSERT_EQUAL(one, digest_add(digest_add(0, "ab", 2), "c", 1));
    CU_ASSERT_NOT_EQUAL(one, digest_add(digest_add(0, "a", 1), "bc", 2));
    CU_ASSERT_NOT_EQUAL(one, digest_add(digest_add(0, "c", 1), "ab", 2));
}

TEST_MAIN("digest", TEST(test_digest__is_xxh3),
    TEST(test_digest__every_byte_and_the_order_of_pieces_count))
