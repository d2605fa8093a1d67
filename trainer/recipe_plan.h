/* What a recipe asks of the worker: the options of its step and of its net. */
#ifndef TRAINER_RECIPE_PLAN_H
#define TRAINER_RECIPE_PLAN_H

#include "trainer/recipe.h"
#include "worker/step.h"

struct step_options recipe_step_options(const struct recipe *recipe, int threads);

struct optimizer_options recipe_optimizer_options(const struct recipe *recipe, int threads);

/* The net of rank `rank` of `ranks`, for training. `smallest_leaf` as in struct net_options. */
struct net_options recipe_net_options(
    const struct recipe *recipe, int rank, int ranks, int threads, int smallest_leaf);

#endif
