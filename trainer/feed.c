#include "trainer/feed.h"

#include "base/tree.h"

#include <inttypes.h>

status feed_open(
    struct feed *feed, const struct recipe *recipe, const char *folder, bool training) {
    *feed = (struct feed){0};
    status result = STATUS_OK;
    TRY_TO(failed, result, dataset_open(&feed->dataset, folder));
    feed->information = dataset_get_information(feed->dataset);
    TRY_TO(failed, result,
        transform_chain_create(&feed->chain, &recipe->data.transforms, training,
            feed->information->shape, (uint64_t)recipe->train.seed));
    feed->order = (struct order){
        .records = feed->information->records,
        .shards = feed->information->shards,
        .leaves = recipe_leaves(recipe),
        .batch = recipe->train.batch,
        .shuffle = training ? (enum order_shuffle)recipe->data.shuffle : ORDER_NONE,
        .drop_last = training && recipe->train.last_batch == RECIPE_LAST_BATCH_DROP,
        .seed = (uint64_t)recipe->train.seed,
    };
    TRY_TO(failed, result, order_check(&feed->order));
    if (order_steps(&feed->order) < 1) {
        FAIL_TO(failed, result, STATUS_USAGE,
            "%s has %" PRId64 " pictures, fewer than one batch of %" PRId64
            ", and train.last_batch is drop",
            folder, feed->order.records, feed->order.batch);
    }
    return STATUS_OK;
failed:
    feed_release(feed);
    return result;
}

void feed_release(struct feed *feed) {
    if (feed->chain != NULL) {
        transform_chain_destroy(feed->chain);
    }
    if (feed->dataset != NULL) {
        dataset_close(feed->dataset);
    }
    *feed = (struct feed){0};
}

status feed_check(const struct feed *feed, const struct node *model, const struct net *net) {
    const char *folder = dataset_get_folder(feed->dataset);
    const struct shape given = transform_chain_output(feed->chain);
    const struct shape input = net_input_shape(net);
    if (!shape_equal(given, input)) {
        char has[64], wants[64];
        FAIL_AT(node_get(model, "input"), STATUS_USAGE,
            "the model's input is %s and the pictures of %s are %s after the transforms: resize or "
            "crop them in data.transforms, or change the model",
            shape_text(input, wants, sizeof wants), folder,
            given.height > 0 ? shape_text(given, has, sizeof has) : "of many sizes");
    }
    const size_t outputs = shape_elements(net_output_shape(net));
    if ((size_t)feed->information->classes > outputs) {
        FAIL_AT(node_get(model, "layers"), STATUS_USAGE,
            "the model ends in %zu numbers and %s has %d classes", outputs, folder,
            feed->information->classes);
    }
    return STATUS_OK;
}

int feed_smallest_leaf(const struct feed *feed) {
    const struct order *order = &feed->order;
    int64_t last = order_step_pictures(order, order_steps(order) - 1) / order->leaves;
    return last > 0 ? (int)last : 1;
}

status feed_start(struct loader **loader, const struct feed *feed, const struct recipe *recipe,
    int rank, int ranks, int64_t step, uint32_t epochs) {
    int64_t steps = order_steps(&feed->order);
    const struct loader_options options = {
        .order = feed->order,
        .first_leaf = tree_rank_first(rank, ranks, feed->order.leaves),
        .leaves = tree_rank_leaves(rank, ranks, feed->order.leaves),
        .epoch = (uint32_t)(step / steps),
        .step = step % steps,
        .epochs = epochs,
        .threads = (int)recipe->data.loader_threads,
        .ahead = (int)recipe->data.ahead,
        .skip_bad = recipe->data.on_bad_record == RECIPE_BAD_RECORD_SKIP,
    };
    return loader_create(loader, feed->dataset, feed->chain, &options);
}

status feed_next(const struct batch **batch, struct loader *loader, struct activity *activity) {
    const struct activity_now before = activity_enter(activity, ACTIVITY_INPUT, -1);
    status result = loader_next(batch, loader);
    activity_leave(activity, before);
    return result;
}
