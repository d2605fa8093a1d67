#include "base/shape.h"
#include "support/support.h"

#include <stdint.h>

static void test_shape__counts_and_compares(void) {
    struct shape shape = {3, 50000, 14000};
    CU_ASSERT_EQUAL(shape_elements(shape), (size_t)2100000000);
    CU_ASSERT_TRUE(shape_equal(shape, (struct shape){3, 50000, 14000}));
    CU_ASSERT_FALSE(shape_equal(shape, (struct shape){4, 50000, 14000}));
    CU_ASSERT_FALSE(shape_equal(shape, (struct shape){3, 50001, 14000}));
    CU_ASSERT_FALSE(shape_equal(shape, (struct shape){3, 50000, 14001}));
    CU_ASSERT_EQUAL(shape_blocks(1), 1);
    CU_ASSERT_EQUAL(shape_blocks(16), 1);
    CU_ASSERT_EQUAL(shape_blocks(17), 2);
}

static void test_shape__fits_below_2_to_the_31_with_whole_blocks(void) {
    CU_ASSERT_TRUE(shape_fits((struct shape){1, 1, 1}));
    CU_ASSERT_TRUE(shape_fits((struct shape){16, 1 << 13, (1 << 14) - 1}));
    CU_ASSERT_FALSE(shape_fits((struct shape){16, 1 << 13, 1 << 14}));
    CU_ASSERT_FALSE(shape_fits((struct shape){1, 1 << 13, 1 << 14})); /* in memory as large */
    CU_ASSERT_FALSE(shape_fits((struct shape){17, 1 << 12, 1 << 14}));
    CU_ASSERT_FALSE(shape_fits((struct shape){1, 65536, 65536})); /* 0 modulo 2^32 */
    CU_ASSERT_FALSE(shape_fits((struct shape){INT32_MAX, 1, 1}));
    CU_ASSERT_FALSE(shape_fits((struct shape){INT32_MAX, INT32_MAX, INT32_MAX}));
    CU_ASSERT_FALSE(shape_fits((struct shape){0, 4, 4}));
    CU_ASSERT_FALSE(shape_fits((struct shape){4, -4, -4}));
}

static void test_shape__is_written_channels_first(void) {
    char text[32], narrow[4];
    CU_ASSERT_STRING_EQUAL(shape_text((struct shape){64, 56, 28}, text, sizeof text), "64x56x28");
    CU_ASSERT_STRING_EQUAL(shape_text((struct shape){64, 56, 28}, narrow, sizeof narrow), "64x");
}

TEST_MAIN("shape", TEST(test_shape__counts_and_compares),
    TEST(test_shape__fits_below_2_to_the_31_with_whole_blocks),
    TEST(test_shape__is_written_channels_first))
