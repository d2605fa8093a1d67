/* The modules of Inception v3 (Szegedy et al. 2015, "Rethinking the Inception architecture",
 * figures 5 to 7 and 10), called a to e as torchvision calls them, with torchvision's names of
 * parameters: `Mixed_5b.branch5x5_1.conv`. Each is a table of branches, each branch a pool or none
 * and a chain of units. */
#include "worker/containers/containers.h"

struct module_options {
    const char *name;
    int64_t width;
};

#define WIDTH_OPTION(help_)                                                                        \
    {                                                                                              \
        .name = "width", .type = OPTION_INTEGER, .offset = offsetof(struct module_options, width), \
        .low = 1, .high = 16384, .flags = OPTION_REQUIRED | OPTION_CHANGES_BITS, .help = help_     \
    }
static const struct option a_options[] = {
    WIDTH_OPTION("channels of the branch that pools"), LAYER_NAME_OPTION, OPTIONS_END};
static const struct option c_options[] = {
    WIDTH_OPTION("channels between the 7x1 and 1x7 convolutions"), LAYER_NAME_OPTION, OPTIONS_END};
static const struct option plain_module_options[] = {LAYER_NAME_OPTION, OPTIONS_END};

#define UNITS    5
#define BRANCHES 4

struct unit {
    const char *name; /* NULL: no more of them */
    int out;          /* 0: the module's width */
    int kernel[2], stride;
};

struct branch {
    const char *pool; /* a line, or NULL */
    bool split;       /* the last two units stand side by side */
    struct unit unit[UNITS];
};

#define AVERAGE "avgpool name=pool kernel=3 stride=1 pad=1"
#define REDUCE  "maxpool name=pool kernel=3 stride=2"
static const struct branch a_branches[BRANCHES] = {
    {.unit = {{"branch1x1", 64, {1, 1}, 1}}},
    {.unit = {{"branch5x5_1", 48, {1, 1}, 1}, {"branch5x5_2", 64, {5, 5}, 1}}},
    {.unit = {{"branch3x3dbl_1", 64, {1, 1}, 1}, {"branch3x3dbl_2", 96, {3, 3}, 1},
         {"branch3x3dbl_3", 96, {3, 3}, 1}}},
    {.pool = AVERAGE, .unit = {{"branch_pool", 0, {1, 1}, 1}}},
};
static const struct branch b_branches[BRANCHES] = {
    {.unit = {{"branch3x3", 384, {3, 3}, 2}}},
    {.unit = {{"branch3x3dbl_1", 64, {1, 1}, 1}, {"branch3x3dbl_2", 96, {3, 3}, 1},
         {"branch3x3dbl_3", 96, {3, 3}, 2}}},
    {.pool = REDUCE},
};
static const struct branch c_branches[BRANCHES] = {
    {.unit = {{"branch1x1", 192, {1, 1}, 1}}},
    {.unit = {{"branch7x7_1", 0, {1, 1}, 1}, {"branch7x7_2", 0, {1, 7}, 1},
         {"branch7x7_3", 192, {7, 1}, 1}}},
    {.unit = {{"branch7x7dbl_1", 0, {1, 1}, 1}, {"branch7x7dbl_2", 0, {7, 1}, 1},
         {"branch7x7dbl_3", 0, {1, 7}, 1}, {"branch7x7dbl_4", 0, {7, 1}, 1},
         {"branch7x7dbl_5", 192, {1, 7}, 1}}},
    {.pool = AVERAGE, .unit = {{"branch_pool", 192, {1, 1}, 1}}},
};
static const struct branch d_branches[BRANCHES] = {
    {.unit = {{"branch3x3_1", 192, {1, 1}, 1}, {"branch3x3_2", 320, {3, 3}, 2}}},
    {.unit = {{"branch7x7x3_1", 192, {1, 1}, 1}, {"branch7x7x3_2", 192, {1, 7}, 1},
         {"branch7x7x3_3", 192, {7, 1}, 1}, {"branch7x7x3_4", 192, {3, 3}, 2}}},
    {.pool = REDUCE},
};
static const struct branch e_branches[BRANCHES] = {
    {.unit = {{"branch1x1", 320, {1, 1}, 1}}},
    {.split = true,
        .unit = {{"branch3x3_1", 384, {1, 1}, 1}, {"branch3x3_2a", 384, {1, 3}, 1},
            {"branch3x3_2b", 384, {3, 1}, 1}}},
    {.split = true,
        .unit = {{"branch3x3dbl_1", 448, {1, 1}, 1}, {"branch3x3dbl_2", 384, {3, 3}, 1},
            {"branch3x3dbl_3a", 384, {1, 3}, 1}, {"branch3x3dbl_3b", 384, {3, 1}, 1}}},
    {.pool = AVERAGE, .unit = {{"branch_pool", 192, {1, 1}, 1}}},
};

/* Units of stride 1 keep the size of the map, units that step have no padding. */
static status add_unit(struct graph *graph, const struct graph_scope *scope,
    const struct node *node, const struct unit *unit, int64_t width) {
    bool keeps = unit->stride == 1;
    return graph_add_line(graph, scope, node,
        "basic_conv name=%s out=%lld kernel=%d,%d stride=%d pad=%d,%d", unit->name,
        unit->out > 0 ? (long long)unit->out : (long long)width, unit->kernel[0], unit->kernel[1],
        unit->stride, keeps ? unit->kernel[0] / 2 : 0, keeps ? unit->kernel[1] / 2 : 0);
}

/* One branch from `current`; its one or two ends are put at ends[*count]. */
static status add_branch(struct graph *graph, const struct graph_scope *scope,
    const struct node *node, const struct branch *branch, int64_t width, struct value **ends,
    int *count) {
    int units = 0;
    while (units < UNITS && branch->unit[units].name != NULL) {
        units++;
    }
    int chain = branch->split ? units - 2 : units;
    if (branch->pool != NULL) {
        TRY(graph_add_line(graph, scope, node, "%s", branch->pool));
    }
    for (int i = 0; i < chain; i++) {
        TRY(add_unit(graph, scope, node, &branch->unit[i], width));
    }
    if (!branch->split) {
        ends[(*count)++] = graph->current;
        return STATUS_OK;
    }
    struct graph_scope part;
    struct value *way[2];
    TRY(graph_scope_part(graph, &part, scope, branch->unit[0].name));
    TRY(graph_fork(graph, way, &part, 2, node));
    for (int i = 0; i < 2; i++) {
        graph->current = way[i];
        TRY(add_unit(graph, scope, node, &branch->unit[chain + i], width));
        ends[(*count)++] = graph->current;
    }
    return STATUS_OK;
}

static status add_module(struct graph *graph, const struct graph_scope *scope,
    const struct module_options *options, const struct node *node, const struct branch *branches) {
    struct value *way[BRANCHES], *end[2 * BRANCHES];
    int count = 0, ends = 0;
    while (count < BRANCHES && (branches[count].pool != NULL || branches[count].unit[0].name)) {
        count++;
    }
    TRY(graph_fork(graph, way, scope, count, node));
    for (int i = 0; i < count; i++) {
        graph->current = way[i];
        TRY(add_branch(graph, scope, node, &branches[i], options->width, end, &ends));
    }
    return graph_join(graph, scope, &layer_concat, end, ends, node);
}

#define MODULE(letter, options_, help_)                                                            \
    static status expand_##letter(struct graph *graph, const struct graph_scope *scope,            \
        const void *options, const struct node *node) {                                            \
        return add_module(graph, scope, options, node, letter##_branches);                         \
    }                                                                                              \
    const struct layer_operations container_inception_##letter = {                                 \
        .kind = {.name = "inception_" #letter,                                                     \
            .help = help_,                                                                         \
            .options = options_,                                                                   \
            .options_size = sizeof(struct module_options)},                                        \
        .expand = expand_##letter,                                                                 \
    };
MODULE(a, a_options, "Inception v3: 1x1, 5x5, two 3x3 and a pool side by side")
MODULE(b, plain_module_options, "Inception v3: halves the map by 3x3, two 3x3 and a pool")
MODULE(c, c_options, "Inception v3: 7x7 as 1x7 and 7x1, once and twice")
MODULE(d, plain_module_options, "Inception v3: halves the map by 3x3, 7x7 and a pool")
MODULE(e, plain_module_options, "Inception v3: 3x3 as 1x3 beside 3x1, after 1x1 and after 3x3")
