/* What every kind of layer must compute: slow and obvious, in double precision, planar.
 *
 * One file a kind, one line in list.c. A reference reads its options from the layer's node in the
 * model, not from the engine's structs, and takes values as [picture][channel][row][column].
 */
#ifndef TESTS_WORKER_REFERENCE_REFERENCE_H
#define TESTS_WORKER_REFERENCE_REFERENCE_H

#include "worker/layer.h"

struct reference_run {
    const struct layer *layer; /* its shapes, node and parameters' sizes alone are used */
    const struct pass *pass;
    double *input[LAYER_ENDS], *output[LAYER_ENDS];
    double *input_gradient[LAYER_ENDS], *output_gradient[LAYER_ENDS];
    double *parameter[LAYER_PARAMETERS]; /* standard order */
    /* [leaf][element]: by leaf, as backward leaves them to the tree */
    double *parameter_gradient[LAYER_PARAMETERS];
};

struct reference {
    const char *kind;
    void (*forward)(const struct reference_run *run);
    /* Writes input_gradient and parameter_gradient. */
    void (*backward)(const struct reference_run *run);
};

extern const struct reference *const references[]; /* NULL-terminated */
const struct reference *reference_find(const char *kind);

/* Options of the layer's node, or the fallback. `axis` picks of a pair. */
double reference_number(const struct reference_run *run, const char *key, double fallback);
int reference_pair(const struct reference_run *run, const char *key, int axis, int fallback);
bool reference_switch(const struct reference_run *run, const char *key, bool fallback);

/* Place of an element. */
size_t reference_at(struct shape shape, int picture, int channel, int row, int column);
/* Elements of all pictures of the pass. */
size_t reference_count(const struct reference_run *run, struct shape shape);
int reference_leaf(const struct reference_run *run, int picture);

#endif
