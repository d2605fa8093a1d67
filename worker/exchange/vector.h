/* Sums of whole vectors: what exchange and step add up partials with. Plain loops that any compiler
 * turns into vector code; the same bits in any case. */
#ifndef WORKER_EXCHANGE_VECTOR_H
#define WORKER_EXCHANGE_VECTOR_H

#include <stddef.h>

/* sum[i] = a[i] + b[i]; sum may be a or b. */
void vector_add(float *sum, const float *a, const float *b, size_t count);

/* Copies unless both are the same place. */
void vector_copy(float *to, const float *from, size_t count);

#endif
