/* One convolution with all its tensors, guarded, and its slow and obvious reference in double. */
#ifndef TESTS_WORKER_SUPPORT_CONVOLUTION_CASE_H
#define TESTS_WORKER_SUPPORT_CONVOLUTION_CASE_H

#include "worker/kernels/convolution.h"

#define CASE_LEAVES 8

/* Memory between two guards; `values` is aligned to 64 bytes. */
struct guarded {
    float *memory, *values;
    size_t count;
};

struct convolution_case {
    struct convolution_shape shape;
    struct shape output_shape;
    int pictures, leaves;
    int leaf_start[CASE_LEAVES + 1];
    struct subtree subtree[CASE_LEAVES];
    int subtrees;
    enum engine_winograd winograd;
    bool was_winograd; /* the kernel that ran last */
    /* What goes in, planar and standard, exact as float. */
    float *input, *weights, *bias, *input_bias, *output_gradient;
    /* What comes out, planar and standard: of the reference in double, of the engine in float. */
    double *reference_output, *reference_input_gradient;
    double *reference_weights_gradient[CASE_LEAVES], *reference_bias_gradient[CASE_LEAVES];
    float *output_values, *input_gradient;
    float *weights_gradient[CASE_LEAVES], *bias_gradient[CASE_LEAVES];
    size_t weights_count, input_count, output_count;
};

/* Whole numbers from -3 to 3; reals in [-1, 1); whole numbers on which Winograd's filters are
 * exact: inputs and bias from -1 to 1, weights and gradients 576 = 24 * 24 times that, since the
 * transforms divide by 24 in each direction of the picture. */
enum case_values { CASE_WHOLE, CASE_REAL, CASE_WINOGRAD };

/* Fills the inputs from test_random; `pictures` are dealt to `leaves` leaves (a power of two). */
void case_init(struct convolution_case *c, const struct convolution_shape *shape, int pictures,
    int leaves, enum case_values values);
void case_release(struct convolution_case *c);

/* Cuts the leaves into subtrees of at most `limit` leaves. */
void case_cut(struct convolution_case *c, int limit);

/* Computes all reference results. */
void case_run_reference(struct convolution_case *c);

/* Plans with the given engine (and Winograd as c->winograd says: off at first) and runs all
 * directions. Asserts that guards and borders are intact, that padding lanes are zero and that
 * scratch full of NaN changed nothing. */
void case_run_engine(
    struct convolution_case *c, enum cpu_isa isa, enum engine_kernels engine, int threads);

/* Asserts that what the engine gave is exactly the reference, or differs by at most `tolerance`
 * times the root mean square of each result. Returns whether it does. */
bool case_assert_equal(const struct convolution_case *c, double tolerance, const char *what);

/* Forward, backward-data and backward-weights (of the first subtree): by how much the engine's
 * result is off the reference, root mean squares, relative. */
#define CASE_DIRECTIONS 3
void case_errors(double errors[CASE_DIRECTIONS], const struct convolution_case *c);

/* Asserts that the two halves of the leaves, each run as a pass of its own on one thread, give the
 * bits of `whole` (one subtree, run before, real numbers), the gradients when added by hand. */
void case_assert_halves_equal(const struct convolution_case *whole, enum cpu_isa isa);

/* A hash of all bits that the engine gave. */
uint64_t case_digest(const struct convolution_case *c);

/* How many random shapes to try, of `count`: fewer under the sanitizers, which slow kernels down
 * thirtyfold. */
int case_count(int count);

/* Odd shapes: small, with every option at random. */
struct convolution_shape case_random_shape(void);

#endif
