/* Norms of the parameters of a net, with bits that do not depend on who adds up what.
 *
 * The packed vector is cut into blocks of NORMS_BLOCK floats, counted from its start. The squares
 * of the elements of one parameter in one block are added up in double by one owner, in one order;
 * these sums are put together by a balanced tree over the blocks of the parameter, and then over
 * the parameters. An owner's array holds 0 where it measured nothing, so that adding up the arrays
 * of all owners rounds nothing.
 */
#ifndef WORKER_NORMS_H
#define WORKER_NORMS_H

#include "worker/net.h"

/* Belongs to the format of what is trained: another size gives other bits. A page of memory, so
 * that ranges cut on blocks do not share one. */
#define NORMS_BLOCK 1024 /* floats */
#define NORMS       2    /* norms of one parameter that can be taken in a round */

/* The sum of the squares of count floats, a multiple of 16: 16 sums side by side in double, where
 * squares are exact, folded by halves. */
double norms_square_sum(const float *values, size_t count);

/* Pairs of a block and a parameter that lies in it, at most: the numbers from 0 to here of
 * norms_place, by which sums[place][NORMS] is laid out. */
size_t norms_places(const struct net *net);
/* Of the piece of parameter `parameter` (its number in packed order) in the block of `element`. */
size_t norms_place(size_t element, int parameter);

/* From the sums to norm[parameters][NORMS]; 0 for statistics. */
void norms_of_parameters(double (*norm)[NORMS], double (*sums)[NORMS], const struct net *net);
/* From these norms to the norm over all parameters of the first of them. */
double norms_over_all(double (*norm)[NORMS], int parameters);

#endif
