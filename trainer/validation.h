/* Loss and accuracy over a whole data set, on all ranks: the same figures for any number of them,
 * since losses are summed by the leaf tree and counts are whole numbers.
 */
#ifndef TRAINER_VALIDATION_H
#define TRAINER_VALIDATION_H

#include "io/log.h"
#include "trainer/coordinator.h"
#include "trainer/feed.h"
#include "trainer/job.h"
#include "worker/step.h"

/* Which classes were taken for which: counts[true class * classes + given class]. */
struct confusion {
    int classes;
    int64_t *counts;
};

/* Runs once through the data set of `feed` with the weights of the net as they are now. For all
 * ranks; `confusion` (NULL: none) ends with the sums over all ranks on every rank. `progress` (or
 * NULL) is told on rank 0 how many pictures are done. */
status validation_run(struct figures *figures, struct confusion *confusion, const struct job *job,
    struct step *step, const struct net *net, const struct feed *feed, const struct recipe *recipe,
    struct log *progress);

#endif
