/* Every instruction set of this machine has kernels of its own, all of them. */
#include "support/support.h"
#include "worker/kernels/kernels.h"

/* kernels_get falls back on plain C: who forgot a line there would see all tests of bits pass. */
static void test_kernels__every_instruction_set_has_its_own(void) {
    CPU_FOR_EACH_ISA (isa) {
        CU_ASSERT_EQUAL(kernels_get(isa)->isa, isa);
    }
}

TEST_MAIN("kernels", TEST(test_kernels__every_instruction_set_has_its_own))
