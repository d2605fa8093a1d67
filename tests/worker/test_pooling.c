/* Which of equals is the largest of a window, and what none or infinite makes of it, against a
 * search tap by tap, on every instruction set: whole numbers, which often are equal. */
#include "support/support.h"
#include "worker/kernels/kernels.h"

#include <math.h>
#include <string.h>

#define ROWS      4
#define COLUMNS   40 /* of the input */
#define LANES     16
#define UNTOUCHED 0xa5 /* a byte */

static _Alignas(64) float in[ROWS][COLUMNS][LANES];

static void make_input(bool finite) {
    static const float odd[] = {NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < sizeof in / sizeof(float); i++) {
        bool is_odd = !finite && test_random_between(0, 20) == 0;
        (&in[0][0][0])[i] =
            is_odd ? odd[test_random_between(0, 2)] : (float)test_random_between(-2, 2);
    }
}

/* The largest of a window and, in *place, its tap; whether all in the window is finite. */
static bool search(
    float *best, int *place, int column, int lane, const struct pooling_window *window) {
    bool finite = true;
    *best = -INFINITY;
    for (int i = 0; i < window->rows; i++) {
        for (int j = 0; j < window->columns; j++) {
            float x = in[i][column + j][lane];
            finite = finite && isfinite(x);
            if (x > *best) {
                *best = x;
                *place = window->tap + i * window->tap_row + j;
            }
        }
    }
    return finite;
}

/* Whether nothing was written from byte `first` on. */
static bool is_untouched(const void *memory, size_t first, size_t bytes) {
    const uint8_t *byte = memory;
    while (first < bytes && byte[first] == UNTOUCHED) {
        first++;
    }
    return first == bytes;
}

static void check_window(const struct pooling_kernels *kernels, int stride, int rows, int columns) {
    const struct pooling_window window = {
        .rows = rows,
        .columns = columns,
        .row_stride = (ptrdiff_t)COLUMNS * LANES,
        .tap = test_random_between(0, 9),
        .tap_row = columns + test_random_between(0, 2),
        .next_rows = stride,
    };
    const int pixels = test_random_between(1, (COLUMNS - columns) / stride + 1);
    _Alignas(64) float out[COLUMNS][LANES];
    uint8_t place[COLUMNS][LANES];
    int wrong = 0;
    memset(out, UNTOUCHED, sizeof out);
    memset(place, UNTOUCHED, sizeof place);
    kernels->max(&out[0][0], &place[0][0], &in[0][0][0], stride, &window, pixels);
    for (int i = 0; i < pixels * LANES; i++) {
        int p = i / LANES, lane = i % LANES, tap = 0;
        float best;
        if (search(&best, &tap, p * stride, lane, &window)) {
            wrong += out[p][lane] != best || place[p][lane] != tap;
        } else {
            wrong += !isnan(out[p][lane]);
        }
    }
    CU_ASSERT_EQUAL(wrong, 0);
    CU_ASSERT(is_untouched(out, (size_t)pixels * sizeof out[0], sizeof out));
    CU_ASSERT(is_untouched(place, (size_t)pixels * sizeof place[0], sizeof place));
}

static void check_all(const struct pooling_kernels *kernels) {
    for (int trial = 0; trial < 10; trial++) {
        make_input(trial % 2 == 0);
        for (int stride = 1; stride <= 4; stride++) {
            for (int rows = 1; rows <= ROWS; rows++) {
                for (int columns = 1; columns <= 5; columns++) {
                    check_window(kernels, stride, rows, columns);
                }
            }
        }
    }
}

static void test_pooling__the_first_of_equals_is_the_largest(void) {
    CPU_FOR_EACH_ISA (isa) {
        check_all(&kernels_get(isa)->pooling);
    }
}

TEST_MAIN("pooling", TEST(test_pooling__the_first_of_equals_is_the_largest))
