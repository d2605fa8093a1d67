/* The keys of a recipe. */
#include "schedulers/schedule.h"
#include "shard/order.h"
#include "shard/transform.h"
#include "trainer/recipe.h"
#include "worker/exchange/exchange.h"
#include "worker/kernels/kernels.h"
#include "worker/loss.h"
#include "worker/net.h"
#include "worker/optimizer.h"

#define BITS OPTION_CHANGES_BITS

static const char *const shuffle_names[] = {
    [ORDER_NONE] = "none", [ORDER_GLOBAL] = "global", [ORDER_SHARD] = "shard", NULL};
static const char *const bad_record_names[] = {
    [RECIPE_BAD_RECORD_FAIL] = "fail", [RECIPE_BAD_RECORD_SKIP] = "skip", NULL};
static const char *const last_batch_names[] = {
    [RECIPE_LAST_BATCH_KEEP] = "keep", [RECIPE_LAST_BATCH_DROP] = "drop", NULL};
static const char *const metric_names[] = {
    [RECIPE_METRIC_ACCURACY] = "accuracy", [RECIPE_METRIC_LOSS] = "loss", NULL};
static const char *const kernels_names[] = {
    [ENGINE_CONVOY] = "convoy", [ENGINE_BLAS] = "blas", NULL};
static const char *const winograd_names[] = {[WINOGRAD_OFF] = "off", [WINOGRAD_ON] = "on", NULL};
static const char *const recompute_names[] = {
    [RECOMPUTE_OFF] = "off", [RECOMPUTE_CHEAP] = "cheap", [RECOMPUTE_ALL] = "all", NULL};
static const char *const algorithm_names[] = {
    [EXCHANGE_TREE] = "tree", [EXCHANGE_RING] = "ring", [EXCHANGE_NATIVE] = "native", NULL};
static const char *const wire_names[] = {
    [EXCHANGE_FLOAT32] = "float32", [EXCHANGE_BF16] = "bf16", NULL};

static const char *const progress_names[] = {
    [EXCHANGE_INLINE] = "inline", [EXCHANGE_THREAD] = "thread", [EXCHANGE_AUTO] = "auto", NULL};

static const struct option data_options[] = {
    {"train", OPTION_TEXT, offsetof(struct recipe_data, train),
        .help = "folder of the data set to train on, from where you stand"},
    {"validation", OPTION_TEXT, offsetof(struct recipe_data, validation),
        .help = "folder of the data set to validate on"},
    {"shuffle", OPTION_NAME, offsetof(struct recipe_data, shuffle), .initial = "global",
        .flags = BITS, .names = shuffle_names,
        .help = "draw from all shards, keep leaves to their own shards, or take records in order"},
    {"transforms", OPTION_CHOICES, offsetof(struct recipe_data, transforms), .flags = BITS,
        .kinds = transforms, .help = "what is done to each picture, in this order"},
    {"on_bad_record", OPTION_NAME, offsetof(struct recipe_data, on_bad_record), .initial = "fail",
        .flags = BITS, .names = bad_record_names,
        .help = "stop at a damaged record, or count it and use the next good one"},
    {"loader_threads", OPTION_INTEGER, offsetof(struct recipe_data, loader_threads), .initial = "1",
        .low = 1, .high = 256, .help = "threads a rank that read, decode and transform"},
    {"ahead", OPTION_INTEGER, offsetof(struct recipe_data, ahead), .initial = "3", .low = 2,
        .high = 64, .help = "batches held ready ahead of the step"},
    {"stage", OPTION_TEXT, offsetof(struct recipe_data, stage),
        .help = "folder on each node (/dev/shm) into which the shards it needs are copied first; "
                "in_place: read them where they lie, over a network too"},
    OPTIONS_END};

static const struct option stop_options[] = {
    {"metric", OPTION_NAME, offsetof(struct recipe_stop, metric), .initial = "accuracy",
        .flags = BITS, .names = metric_names,
        .help = "validation figure that tells which checkpoint is best"},
    {"patience", OPTION_INTEGER, offsetof(struct recipe_stop, patience), .initial = "0", .low = 0,
        .high = 1e9, .help = "stop after so many validations without a better one (0: never)"},
    OPTIONS_END};

static const struct option train_options[] = {
    {"epochs", OPTION_INTEGER, offsetof(struct recipe_train, epochs), .initial = "1", .low = 1,
        .high = 1e6, .help = "times through the data set"},
    {"steps", OPTION_INTEGER, offsetof(struct recipe_train, steps), .initial = "0", .low = 0,
        .high = 2147483647, .help = "training steps, instead of epochs (0: count epochs)"},
    {"batch", OPTION_INTEGER, offsetof(struct recipe_train, batch), .low = 1, .high = 1e7,
        .flags = OPTION_REQUIRED | BITS, .help = "pictures a step, over all ranks"},
    {"leaf", OPTION_INTEGER, offsetof(struct recipe_train, leaf), .low = 1, .high = 65536,
        .flags = OPTION_REQUIRED | BITS,
        .help = "pictures a leaf of the summation tree; batch / leaf is a power of two"},
    {"seed", OPTION_INTEGER, offsetof(struct recipe_train, seed), .initial = "1", .low = 0,
        .high = 9007199254740992.0, .flags = BITS, .help = "of everything random"},
    {"loss", OPTION_CHOICE, offsetof(struct recipe_train, loss), .initial = "cross_entropy",
        .flags = BITS, .kinds = losses, .help = "what is made small"},
    {"optimizer", OPTION_CHOICE, offsetof(struct recipe_train, optimizer), .initial = "sgd",
        .flags = BITS, .kinds = optimizers, .help = "how gradients change weights"},
    {"clip_norm", OPTION_REAL, offsetof(struct recipe_train, clip_norm), .initial = "0", .low = 0,
        .high = 1e9, .flags = BITS | OPTION_ADDED,
        .help = "the gradient is made no longer than this, by its norm over all weights (0: left)"},
    {"ema", OPTION_REAL, offsetof(struct recipe_train, ema), .initial = "0", .low = 0,
        .high = 0.9999999, .flags = BITS | OPTION_ADDED,
        .help = "validation, evaluate and predict use an average of the weights, of which this "
                "share stays at each step (0: the weights themselves)"},
    {"local_steps", OPTION_INTEGER, offsetof(struct recipe_train, local_steps), .initial = "1",
        .low = 1, .high = 1e6, .flags = BITS | OPTION_ADDED,
        .help = "steps that each rank takes by itself before weights are averaged; more than 1 "
                "breaks the promise of the same bits"},
    {"schedule", OPTION_CHOICE, offsetof(struct recipe_train, schedule),
        .flags = OPTION_REQUIRED | BITS, .kinds = schedules, .help = "learning rate by step"},
    {"last_batch", OPTION_NAME, offsetof(struct recipe_train, last_batch), .initial = "keep",
        .flags = BITS, .names = last_batch_names,
        .help = "use or leave out the short last batch of an epoch"},
    {"validate_every_epochs", OPTION_INTEGER, offsetof(struct recipe_train, validate_every_epochs),
        .initial = "1", .low = 0, .high = 1e6, .help = "epochs between validations (0: none)"},
    {"validate_every_steps", OPTION_INTEGER, offsetof(struct recipe_train, validate_every_steps),
        .initial = "0", .low = 0, .high = 2147483647,
        .help = "steps between validations (0: none)"},
    {"stop", OPTION_GROUP, offsetof(struct recipe_train, stop), .table = stop_options,
        .help = "early stopping, and what is best"},
    {"from", OPTION_TEXT, offsetof(struct recipe_train, from),
        .help = "checkpoint, run or safetensors file whose weights to start from"},
    {"from_new", OPTION_TEXTS, offsetof(struct recipe_train, from_new),
        .help = "layers that start fresh all the same"},
    {"chunk", OPTION_INTEGER, offsetof(struct recipe_train, chunk), .initial = "0", .low = 0,
        .high = 65536,
        .help = "leaves a rank runs at a time, a power of two, where memory is short (0: all)"},
    {"recompute", OPTION_NAME, offsetof(struct recipe_train, recompute), .initial = "off",
        .names = recompute_names,
        .help = "what is made again for backward and not kept, where memory is short: nothing, all "
                "but the outputs of convolutions and linear layers, or all"},
    {"threads", OPTION_INTEGER, offsetof(struct recipe_train, threads), .initial = "0", .low = 0,
        .high = 1024, .help = "threads a rank (0: its share of the host's cores)"},
    OPTIONS_END};

static const struct option engine_options[] = {
    {"kernels", OPTION_NAME, offsetof(struct recipe_engine, kernels), .initial = "convoy",
        .flags = BITS, .names = kernels_names,
        .help = "our own kernels, or im2col and OpenBLAS (other bits)"},
    {"winograd", OPTION_NAME, offsetof(struct recipe_engine, winograd), .initial = "on",
        .flags = BITS, .names = winograd_names,
        .help = "3x3 and 5x5 convolutions by Winograd's filters where the shape makes that faster"},
    OPTIONS_END};

static const struct option exchange_table[] = {
    {"algorithm", OPTION_NAME, offsetof(struct recipe_exchange, algorithm), .initial = "tree",
        .flags = BITS, .names = algorithm_names,
        .help = "the tree; or, breaking the promise of the same bits, MPI_Iallreduce of your MPI "
                "(native) or a "
                "ring, for comparison"},
    {"wire", OPTION_NAME, offsetof(struct recipe_exchange, wire), .initial = "float32",
        .flags = BITS | OPTION_ADDED, .names = wire_names,
        .help =
            "what goes between nodes; bf16, with error feedback, halves the bytes and breaks the "
            "promise"},
    {"bucket", OPTION_BYTES, offsetof(struct recipe_exchange, bucket), .initial = "4 MiB",
        .low = 64, .high = 1099511627776.0, .help = "gradient bytes that are exchanged together"},
    {"progress", OPTION_NAME, offsetof(struct recipe_exchange, progress), .initial = "auto",
        .names = progress_names,
        .help =
            "who moves them on during backward: the rank between its kernels (inline), or a thread "
            "of their own (auto: a thread where there are several hosts)"},
    OPTIONS_END};

static const struct option checkpoint_options[] = {
    {"every_epochs", OPTION_INTEGER, offsetof(struct recipe_checkpoint, every_epochs),
        .initial = "1", .low = 0, .high = 1e6, .help = "epochs between checkpoints (0: none)"},
    {"every_steps", OPTION_INTEGER, offsetof(struct recipe_checkpoint, every_steps), .initial = "0",
        .low = 0, .high = 2147483647, .help = "steps between checkpoints (0: none)"},
    {"keep", OPTION_INTEGER, offsetof(struct recipe_checkpoint, keep), .initial = "3", .low = 0,
        .high = 1e6, .help = "newest checkpoints that are kept, the best one apart (0: all)"},
    OPTIONS_END};

static const struct option watch_options[] = {
    {"warn_seconds", OPTION_REAL, offsetof(struct recipe_watch, warn_seconds), .initial = "60",
        .low = 0, .high = 1e9,
        .help = "wait for other ranks after which the log tells who keeps whom waiting (0: never)"},
    {"stop_seconds", OPTION_REAL, offsetof(struct recipe_watch, stop_seconds), .initial = "600",
        .low = 0, .high = 1e9,
        .help = "wait for other ranks after which the job is ended (0: never)"},
    {"heartbeat_seconds", OPTION_REAL, offsetof(struct recipe_watch, heartbeat_seconds),
        .initial = "10", .low = 0, .high = 86400,
        .help = "within which a rank that is stopped or cut off is found and the job ended, 1 or "
                "more (0: never); with several hosts 7 or more"},
    OPTIONS_END};

const struct option recipe_options[] = {
    {"model", OPTION_NODE, offsetof(struct recipe, model), .flags = OPTION_REQUIRED | BITS,
        .help = "the network: a file, relative to the recipe, or the mapping itself"},
    {"data", OPTION_GROUP, offsetof(struct recipe, data), .table = data_options,
        .help = "data sets and what is done to pictures"},
    {"train", OPTION_GROUP, offsetof(struct recipe, train), .table = train_options,
        .help = "how the network is trained"},
    {"engine", OPTION_GROUP, offsetof(struct recipe, engine), .table = engine_options,
        .help = "who multiplies and adds"},
    {"exchange", OPTION_GROUP, offsetof(struct recipe, exchange), .table = exchange_table,
        .help = "how ranks sum their gradients"},
    {"checkpoint", OPTION_GROUP, offsetof(struct recipe, checkpoint), .table = checkpoint_options,
        .help = "when the run is saved"},
    {"watch", OPTION_GROUP, offsetof(struct recipe, watch), .table = watch_options,
        .help = "when a rank that keeps the others waiting is told of, and ends the job"},
    OPTIONS_END};
