/* A checkpoint opened for use: its recipe, its network, its classes. What evaluate, predict and
 * inspect share; nothing else than the file is needed.
 */
#ifndef TRAINER_TRAINED_H
#define TRAINER_TRAINED_H

#include "io/safetensors.h"
#include "trainer/recipe.h"
#include "worker/net.h"

struct trained {
    char *path; /* of the file that was found */
    struct safetensors_file *file;
    struct recipe recipe;
    char **class_names;
    int classes;
};

/* Opens a checkpoint file, a run folder or RUN/checkpoints. Checkpoints that are damaged are named
 * on stderr and the one before is used. */
status trained_open(struct trained *trained, const char *path);
void trained_release(struct trained *trained);

/* Plans the network for `options` (engine and loss are filled in from the recipe) and loads its
 * weights: with train.ema the averaged ones. */
status trained_create_net(
    struct net **net, const struct trained *trained, const struct net_options *options);

#endif
