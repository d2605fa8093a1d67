/* What a thread of backward-weights has to do (worker/kernels/convolution_backward_weights.c). */
#include "support/support.h"
#include "worker/kernels/convolution_plan.h"

#define SQUARE(c, hw, o, k, s, p)                                                                  \
    { {c, hw, hw}, o, k, k, s, s, p, p, 1, 1, 1 }

static const struct convolution_shape shapes[] = {
    SQUARE(3, 64, 64, 7, 2, 3),
    SQUARE(3, 64, 64, 11, 4, 2),
    SQUARE(256, 14, 1024, 1, 1, 0),
    SQUARE(1024, 14, 512, 1, 1, 0),
    SQUARE(2048, 7, 512, 1, 1, 0),
    SQUARE(128, 28, 128, 3, 2, 1),
};

/* An even share of the rows of weights, by the share of the thread that has most. */
static double evenness(const struct convolution_shape *shape, int threads) {
    struct convolution *c;
    CU_ASSERT_EQUAL_FATAL(convolution_create(&c, shape, kernels_get(CPU_ISA_PORTABLE),
                              ENGINE_CONVOY, WINOGRAD_OFF, threads, 4, 1),
        STATUS_OK);
    int tiles = c->output.tiles, rows = c->output.tile[0].other_blocks * c->height.kernel;
    int columns = (tiles + c->item_tiles - 1) / c->item_tiles;
    int groups = (rows + c->item_rows - 1) / c->item_rows, items = columns * groups, most = 0;
    for (int thread = 0; thread < threads; thread++) {
        int sum = 0;
        for (int i = items * thread / threads; i < items * (thread + 1) / threads; i++) {
            int column = i / groups, group = i % groups;
            sum += ((column + 1) * tiles / columns - column * tiles / columns) *
                   ((group + 1) * rows / groups - group * rows / groups);
        }
        most = sum > most ? sum : most;
    }
    convolution_destroy(c);
    return (double)(tiles * rows) / threads / most;
}

static void test_convolution_items__are_dealt_evenly(void) {
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        CU_ASSERT(evenness(&shapes[i], 2) >= 0.95);
        CU_ASSERT(evenness(&shapes[i], 4) >= 0.85);
    }
}

TEST_MAIN("convolution_items", TEST(test_convolution_items__are_dealt_evenly))
