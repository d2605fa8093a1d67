/* Sums of whole vectors: what exchange and step add up partials with. Plain loops that any compiler
 * turns into vector code; the same bits in any case. */
#ifndef WORKER_EXCHANGE_VECTOR_H
#define WORKER_EXCHANGE_VECTOR_H

#include <stddef.h>

/* Vectors that are sent or received begin in the middle of a page. A socket's memory begins with a
 * page too, and holds a message behind a header: from the start of a page, or a line beyond it, a
 * message is copied to where it lies a few bytes further in another page, or from there, and a
 * processor may take what it reads for what it has just written (8 or 16 bytes further: 2 GB/s in
 * place of 40 on one of AMD's). Over 4 hosts of it sums of 64 KiB and more took 0.7 to 0.9 of the
 * time from the middle. */
#define VECTOR_PAGE  ((size_t)4096)
#define VECTOR_BEGIN (VECTOR_PAGE / 2)

/* sum[i] = a[i] + b[i]; sum may be a or b. */
void vector_add(float *sum, const float *a, const float *b, size_t count);

/* Copies unless both are the same place. */
void vector_copy(float *to, const float *from, size_t count);

#endif
