#include "base/number.h"
#include "support/support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void test_number__integers_are_strict(void) {
    int64_t value;
    CU_ASSERT_TRUE(number_parse_integer(&value, "-42") && value == -42);
    CU_ASSERT_TRUE(number_parse_integer(&value, "+7") && value == 7);
    CU_ASSERT_TRUE(number_parse_integer(&value, "9223372036854775807") && value == INT64_MAX);
    CU_ASSERT_TRUE(number_parse_integer(&value, "-9223372036854775808") && value == INT64_MIN);
    const char *bad[] = {"9223372036854775808", "", "-", "1e6", "64k", "0x10", " 1", "1 ", "1.0"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        CU_ASSERT_FALSE(number_parse_integer(&value, bad[i]));
    }
}

static void test_number__reals_are_strict_and_finite(void) {
    double value;
    CU_ASSERT_TRUE(number_parse_real(&value, "1") && value == 1);
    CU_ASSERT_TRUE(number_parse_real(&value, "-.5") && value == -0.5);
    CU_ASSERT_TRUE(number_parse_real(&value, "5.") && value == 5);
    CU_ASSERT_TRUE(number_parse_real(&value, "1e-3") && value == 1e-3);
    CU_ASSERT_TRUE(number_parse_real(&value, "2.5E+2") && value == 250);
    const char *bad[] = {"nan", "inf", "-inf", "infinity", ".nan", ".inf", "1e999", "0x1p3", "",
        ".", "e5", "1e", "1e+", "1 ", " 1", "1,5", "--1"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        CU_ASSERT_FALSE(number_parse_real(&value, bad[i]));
    }
}

static void test_number__bytes_take_units(void) {
    int64_t value;
    CU_ASSERT_TRUE(number_parse_bytes(&value, "4 MiB") && value == 4 << 20);
    CU_ASSERT_TRUE(number_parse_bytes(&value, "512KiB") && value == 512 << 10);
    CU_ASSERT_TRUE(number_parse_bytes(&value, "1 GiB") && value == 1 << 30);
    CU_ASSERT_TRUE(number_parse_bytes(&value, "100") && value == 100);
    CU_ASSERT_TRUE(number_parse_bytes(&value, "0") && value == 0);
    const char *bad[] = {"4 MB", "-1", "1.5 MiB", "MiB", "9999999999 GiB", "8388608 TiB", "4 MiBs",
        "99999999999999999999999999 KiB"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        CU_ASSERT_FALSE(number_parse_bytes(&value, bad[i]));
    }
    char text[NUMBER_TEXT];
    CU_ASSERT_STRING_EQUAL(number_bytes_text(text, 4 << 20), "4 MiB");
    CU_ASSERT_STRING_EQUAL(number_bytes_text(text, 1025), "1025");
    CU_ASSERT_STRING_EQUAL(number_bytes_text(text, 1536), "1536");
    CU_ASSERT_STRING_EQUAL(number_bytes_text(text, 0), "0");
}

static void test_number__text_is_short_and_reads_back(void) {
    char text[NUMBER_TEXT];
    CU_ASSERT_STRING_EQUAL(number_text(text, 0.1), "0.1");
    CU_ASSERT_STRING_EQUAL(number_text(text, 0.0005), "0.0005");
    CU_ASSERT_STRING_EQUAL(number_text(text, 100000), "100000");
    CU_ASSERT_STRING_EQUAL(number_text(text, -3), "-3");
    CU_ASSERT_STRING_EQUAL(number_text(text, 1.0 / 3), "0.3333333333333333");
    CU_ASSERT_STRING_EQUAL(number_text(text, 1e300), "1e+300");
    for (int i = 0; i < 20000; i++) {
        uint64_t bits = (uint64_t)test_random() << 32 | test_random();
        double value, back = 0;
        memcpy(&value, &bits, sizeof value);
        if (!isfinite(value)) {
            continue;
        }
        CU_ASSERT_TRUE(number_parse_real(&back, number_text(text, value)));
        CU_ASSERT_EQUAL(memcmp(&back, &value, sizeof value), 0);
        /* No shorter text reads back. */
        char shorter[NUMBER_TEXT];
        int digits = 0;
        for (const char *at = text; *at != '\0' && *at != 'e'; at++) {
            digits += *at >= '0' && *at <= '9';
        }
        if (digits > 1 && strchr(text, 'e') != NULL) {
            snprintf(shorter, sizeof shorter, "%.*e", digits - 2, value);
            CU_ASSERT_NOT_EQUAL(strtod(shorter, NULL), value);
        }
    }
}

TEST_MAIN("number", TEST(test_number__integers_are_strict),
    TEST(test_number__reals_are_strict_and_finite), TEST(test_number__bytes_take_units),
    TEST(test_number__text_is_short_and_reads_back))
