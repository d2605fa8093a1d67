/* A convolution whose outputs see only some of the inputs, as a table says (LeNet-5's C3: LeCun et
 * al. 1998, table I). The kernels work on the whole matrix of maps, in which what is not connected
 * is zero; the parameter holds the connected kernels alone, output by output. */
#ifndef WORKER_LAYERS_CONV_TABLE_H
#define WORKER_LAYERS_CONV_TABLE_H

#include "worker/layer.h"

/* Which inputs each output sees: [outputs][inputs]. */
struct conv_table {
    int outputs, inputs, taps;
    int connections;
    bool *connected; /* [outputs][inputs] */
    size_t packed;   /* floats of the packed weights */
    int32_t *place;  /* [connections][taps]: in the packed weights */
    bool *learns;    /* [packed]: an element of a connected kernel */
};

/* Reads the table, a list for each output of the numbers of its inputs, rising from 0. */
status conv_table_create(struct conv_table **table, const struct layer *layer,
    const struct node *node, int outputs, const int64_t kernel[2]);
void conv_table_destroy(struct conv_table *table);

/* Turns the weight that products_plan has declared (parameter 0) into the connected kernels alone:
 * [connections][height][width]. The parameter then holds the table. */
status conv_table_declare(struct layer *layer, struct conv_table *table, const int64_t kernel[2]);

/* The table of a layer planned so, or NULL. */
struct conv_table *conv_table_of(const struct layer *layer);

/* Sets the gradient of what is not connected to zero. */
void conv_table_mask(const struct layer *layer, const struct pass *pass);

#endif
