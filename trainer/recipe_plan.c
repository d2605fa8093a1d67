#include "trainer/recipe_plan.h"

#include "trainer/coordinator.h"

struct step_options recipe_step_options(const struct recipe *recipe, int threads) {
    return (struct step_options){
        .leaves = recipe_leaves(recipe),
        .batch = recipe->train.batch,
        .chunk = (int)recipe->train.chunk,
        .bucket = (size_t)recipe->exchange.bucket,
        .seed = (uint64_t)recipe->train.seed,
        .progress = (enum exchange_progress_by)recipe->exchange.progress,
        .algorithm = (enum exchange_algorithm)recipe->exchange.algorithm,
        .wire = (enum exchange_wire)recipe->exchange.wire,
        .local = recipe->train.local_steps > 1,
        .threads = threads,
        .rate = coordinator_rate,
    };
}

struct optimizer_options recipe_optimizer_options(const struct recipe *recipe, int threads) {
    return (struct optimizer_options){
        .choice = &recipe->train.optimizer,
        .threads = threads,
        .clip_norm = recipe->train.clip_norm,
        .ema = recipe->train.ema,
    };
}

struct net_options recipe_net_options(
    const struct recipe *recipe, int rank, int ranks, int threads, int smallest_leaf) {
    const struct step_options options = recipe_step_options(recipe, threads);
    const struct step_room room = step_room(&options, rank, ranks);
    return (struct net_options){
        .pictures = room.pictures,
        .leaves = room.leaves,
        .leaf = room.leaf,
        .smallest_leaf = smallest_leaf,
        .threads = threads,
        .training = true,
        .engine = (enum engine_kernels)recipe->engine.kernels,
        .winograd = (enum engine_winograd)recipe->engine.winograd,
        .recompute = (enum recompute)recipe->train.recompute,
        .loss = &recipe->train.loss,
    };
}
