/* A data set as a recipe uses it: opened, its transforms planned, its order known. */
#ifndef TRAINER_FEED_H
#define TRAINER_FEED_H

#include "shard/loader.h"
#include "trainer/recipe.h"
#include "worker/activity.h"
#include "worker/net.h"

struct feed {
    struct dataset *dataset;
    const struct dataset_information *information; /* borrowed from the data set */
    struct transform_chain *chain;
    struct order order;
};

/* Opens `folder` for training (the recipe's shuffle, transforms for training) or evaluation (in
 * order, transforms for evaluation). Both use the recipe's batch and leaves. */
status feed_open(struct feed *feed, const struct recipe *recipe, const char *folder, bool training);
void feed_release(struct feed *feed);

/* Checks that pictures and classes fit a net. Fails with STATUS_USAGE at the model's line. */
status feed_check(const struct feed *feed, const struct node *model, const struct net *net);

/* The fewest pictures of a leaf that is not empty, over all steps of an epoch. */
int feed_smallest_leaf(const struct feed *feed);

/* Starts a loader for the leaves of `rank` of `ranks` at `step` (counted over all epochs), for
 * `epochs` epochs (0: for ever). Bad records that are skipped are counted by the loader. */
status feed_start(struct loader **loader, const struct feed *feed, const struct recipe *recipe,
    int rank, int ranks, int64_t step, uint32_t epochs);

/* loader_next, marked as this rank's wait for input. */
status feed_next(const struct batch **batch, struct loader *loader, struct activity *activity);

#endif
