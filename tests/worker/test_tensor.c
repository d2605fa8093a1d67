#include "base/memory.h"
#include "support/support.h"
#include "worker/tensor.h"

#include <stdlib.h>
#include <string.h>

static void test_tensor__has_the_layout_it_names(void) {
    struct tensor tensor;
    tensor_init(&tensor, (struct shape){20, 3, 5}, 2, 1, 4);
    CU_ASSERT_EQUAL(tensor.row_stride, (5 + 2) * 16);
    CU_ASSERT_EQUAL(tensor.block_stride, (3 + 4) * 7 * 16);
    CU_ASSERT_EQUAL(tensor.picture_stride, 2 * 7 * 7 * 16);
    CU_ASSERT_EQUAL(tensor_bytes(&tensor), 4u * 2 * 7 * 7 * 64);
    float memory[16];
    tensor_place(&tensor, memory);
    CU_ASSERT_PTR_EQUAL(tensor_at(&tensor, 0, 0, -2, -1), memory);
}

static void load_and_store(int channels) {
    struct shape shape = {channels, 3, 4};
    struct tensor tensor;
    void *memory = NULL;
    tensor_init(&tensor, shape, 1, 2, 2);
    CU_ASSERT_EQUAL_FATAL(memory_allocate(&memory, tensor_bytes(&tensor), 1), STATUS_OK);
    memset(memory, 0xff, tensor_bytes(&tensor)); /* NaN */
    tensor_place(&tensor, memory);
    float planar[2 * 19 * 3 * 4], again[2 * 19 * 3 * 4];
    const int count = 2 * channels * 3 * 4;
    for (int i = 0; i < count; i++) {
        planar[i] = (float)(i + 1);
    }
    tensor_load_planar(&tensor, planar, 2);
    double sum = 0.0; /* border and padding included */
    for (size_t i = 0; i < tensor_bytes(&tensor) / sizeof(float); i++) {
        sum += (double)((float *)memory)[i];
    }
    CU_ASSERT_EQUAL(sum, count * (count + 1.0) / 2.0);
    int last = channels - 1;
    CU_ASSERT_EQUAL(tensor_at(&tensor, 1, last / 16, 2, 3)[last % 16], (float)count);
    tensor_store_planar(again, &tensor, 2);
    CU_ASSERT_EQUAL(memcmp(planar, again, (size_t)count * sizeof(float)), 0);
    free(memory);
}

static void test_tensor__loads_and_stores_planar_with_zero_border_and_padding(void) {
    static const int channels[] = {1, 3, 5, 16, 19};
    for (size_t i = 0; i < sizeof channels / sizeof channels[0]; i++) {
        load_and_store(channels[i]);
    }
}

static void test_tensor__clears_only_the_border_of_the_pictures_named(void) {
    struct shape shape = {16, 2, 3};
    struct tensor tensor;
    void *memory = NULL;
    tensor_init(&tensor, shape, 1, 2, 3);
    CU_ASSERT_EQUAL_FATAL(memory_allocate(&memory, tensor_bytes(&tensor), 1), STATUS_OK);
    float *values = memory;
    size_t count = tensor_bytes(&tensor) / sizeof(float);
    for (size_t i = 0; i < count; i++) {
        values[i] = 1.0f;
    }
    tensor_place(&tensor, memory);
    tensor_clear_border(&tensor, 1, 1);
    double sum = 0.0;
    for (size_t i = 0; i < count; i++) {
        sum += (double)values[i];
    }
    CU_ASSERT_EQUAL(sum, 16.0 * (2 * 4 * 7 + 2 * 3));
    CU_ASSERT_EQUAL(tensor_at(&tensor, 1, 0, -1, 1)[5], 0.0f);
    CU_ASSERT_EQUAL(tensor_at(&tensor, 1, 0, 1, -2)[5], 0.0f);
    CU_ASSERT_EQUAL(tensor_at(&tensor, 1, 0, 1, 0)[5], 1.0f);
    free(memory);
}

TEST_MAIN("tensor", TEST(test_tensor__has_the_layout_it_names),
    TEST(test_tensor__loads_and_stores_planar_with_zero_border_and_padding),
    TEST(test_tensor__clears_only_the_border_of_the_pictures_named))
