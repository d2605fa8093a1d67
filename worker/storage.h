/* Which values of a graph share memory.
 *
 * A storage is one piece of memory for one or more values: a fork's outputs are its input, and an
 * elementwise layer writes over what it reads where nobody needs that any more. Its border is the
 * widest that any of its readers asks for.
 *
 * A value that is made twice (worker/recompute.h) has two, one for each time.
 *
 * A storage may be a run of channel blocks of another one: what is concatenated is made side by
 * side in the first place, where counts of channels allow it, and so are the gradients. (Memory of
 * this kind: Huang et al., "Densely connected convolutional networks", 2017, and its memory-saving
 * variant by Pleiss et al.)
 */
#ifndef WORKER_STORAGE_H
#define WORKER_STORAGE_H

#include "worker/graph.h"

struct storage {
    struct tensor tensor; /* of the values in it, with the border of the widest reader */
    bool shared;          /* by values that live side by side: nobody may write over it */
    bool joined;          /* made of others, which layers before may still need: likewise */
    int whole;            /* the storage that this one is a part of; -1: it stands by itself */
    int first_block;      /* ... and where in it */
};

struct storage_plan {
    struct graph *graph;
    bool training;
    bool apart; /* nothing is a part of another */
    int count;
    struct storage *storage; /* room for three a value: made, made again, and the gradient */
};

/* Gives every value that is ever held a storage, and every gradient. */
void storage_assign(struct storage_plan *plan);

/* The storage that `number` is a part of in the end, or itself. */
int storage_whole(const struct storage *storage, int number);

/* Sets the tensor of a storage that is a part, once that of the whole is final. */
void storage_set_part(struct storage *storage, int number);

/* Whether backward of the layer that makes a value reads it. */
bool storage_maker_reads(const struct graph *graph, const struct value *value);

#endif
