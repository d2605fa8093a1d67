#include "worker/graph.h"

#include "base/memory.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

void graph_init(struct graph *graph) {
    *graph = (struct graph){0};
    pool_init(&graph->pool);
}

void graph_release(struct graph *graph) {
    for (int i = 0; i < graph->layers; i++) {
        struct layer *layer = graph->layer[i];
        if (layer->operations->release != NULL) {
            layer->operations->release(layer);
        } else {
            free(layer->state);
        }
    }
    pool_release(&graph->pool);
    *graph = (struct graph){0};
}

/* Room for one more item of a list in the pool. */
static status grow(struct graph *graph, void *items, int count, int *room, size_t size) {
    if (count < *room) {
        return STATUS_OK;
    }
    int wanted = *room == 0 ? 64 : *room * 2;
    void *larger;
    TRY(pool_take(&graph->pool, &larger, (size_t)wanted, size));
    void *old;
    memcpy(&old, items, sizeof old);
    if (count > 0) {
        memcpy(larger, old, (size_t)count * size);
    }
    memcpy(items, &larger, sizeof larger);
    *room = wanted;
    return STATUS_OK;
}

static status make_text(struct graph *graph, const char **text, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static status make_text(struct graph *graph, const char **text, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    char *copy;
    TRY(pool_take(&graph->pool, (void **)&copy, (size_t)length + 1, 1));
    va_start(arguments, format);
    vsnprintf(copy, (size_t)length + 1, format, arguments);
    va_end(arguments);
    *text = copy;
    return STATUS_OK;
}

static status add_value(struct graph *graph, struct value **out, int maker) {
    TRY(grow(graph, &graph->value, graph->values, &graph->values_room, sizeof(struct value *)));
    TRY(pool_take(&graph->pool, (void **)out, 1, sizeof **out));
    **out = (struct value){.maker = maker, .taker = -1, .storage = -1, .gradient_storage = -1};
    graph->value[graph->values++] = *out;
    return STATUS_OK;
}

static status plan_layer(struct graph *graph, struct layer *layer) {
    TRY(layer->operations->plan(layer, &graph->plan));
    TRY(layer_check_output(layer));
    bool learns = layer->parameters > 0;
    for (int i = 0; i < layer->inputs; i++) {
        learns = learns || layer->input[i]->wants_gradient;
    }
    for (int o = 0; o < layer->outputs; o++) {
        layer->output[o]->wants_gradient = learns;
    }
    return STATUS_OK;
}

/* A layer of `inputs` inputs, taken from in[], and `outputs` fresh outputs. */
static status add_layer(struct graph *graph, struct layer **out,
    const struct layer_operations *operations, const void *options, const char *name,
    const struct node *node, struct value *const *in, int inputs, int outputs) {
    if (graph->layers == GRAPH_LAYERS_LIMIT) {
        FAIL_AT(node, STATUS_USAGE, "the network has more than %d layers", GRAPH_LAYERS_LIMIT);
    }
    if (inputs > LAYER_ENDS || outputs > LAYER_ENDS) {
        FAIL_AT(node, STATUS_USAGE, "layer %s: %d branches are more than %d", name,
            inputs > outputs ? inputs : outputs, LAYER_ENDS);
    }
    TRY(grow(graph, &graph->layer, graph->layers, &graph->layers_room, sizeof(struct layer *)));
    struct layer *layer;
    TRY(pool_take(&graph->pool, (void **)&layer, 1, sizeof *layer));
    *layer = (struct layer){.operations = operations,
        .options = options,
        .node = node,
        .name = name,
        .graph = graph,
        .number = graph->layers,
        .training_only = graph->training_only,
        .inputs = inputs,
        .outputs = outputs};
    for (int i = 0; i < inputs; i++) {
        layer->input[i] = in[i];
        in[i]->taker = layer->number;
    }
    for (int i = 0; i < outputs; i++) {
        TRY(add_value(graph, &layer->output[i], layer->number));
    }
    layer->result = layer->output[0];
    graph->layer[graph->layers++] = layer;
    *out = layer;
    return plan_layer(graph, layer);
}

status graph_scope_part(struct graph *graph, struct graph_scope *inner,
    const struct graph_scope *outer, const char *part) {
    inner->given = outer->given;
    return make_text(graph, &inner->place, "%s%s.", outer->place, part);
}

status graph_scope_named(struct graph *graph, struct graph_scope *inner,
    const struct graph_scope *outer, const char *name) {
    TRY(make_text(graph, &inner->given, "%s%s.", outer->given, name));
    return make_text(graph, &inner->place, "%s%s.", outer->place, name);
}

/* The first member of all options of layers. */
static const char *given_name(const void *options) {
    const char *name;
    memcpy(&name, options, sizeof name);
    return name;
}

static const char *entry_kind(const struct node *entry) {
    if (entry->kind == NODE_MAPPING && entry->child != NULL) {
        return entry->child->key;
    }
    return entry->kind == NODE_SCALAR ? entry->text : NULL;
}

static status add_entry(
    struct graph *graph, const struct graph_scope *scope, const struct node *entry, int number) {
    struct choice choice;
    TRY(options_parse_choice(&choice, layers, entry, "layer", &graph->pool));
    const struct layer_operations *operations = (const struct layer_operations *)choice.kind;
    const struct node *node = entry->kind == NODE_MAPPING ? entry->child : entry;
    const char *given = given_name(choice.values);
    if (given != NULL && *given == '\0') {
        FAIL_AT(node, STATUS_USAGE, "the name of a layer cannot be empty");
    }
    const char *name = given;
    if (given == NULL) {
        TRY(make_text(graph, &name, "%s%d", operations->kind.name, number));
    }
    if (operations->expand != NULL) {
        struct graph_scope inner;
        TRY(graph_scope_named(graph, &inner, scope, name));
        if (given != NULL) { /* a given name says where it stands by itself */
            inner.place = inner.given;
        }
        return operations->expand(graph, &inner, choice.values, node);
    }
    TRY(make_text(graph, &name, "%s%s", given != NULL ? scope->given : scope->place, name));
    struct layer *layer;
    TRY(add_layer(graph, &layer, operations, choice.values, name, node, &graph->current, 1, 1));
    graph->current = layer->output[0];
    return STATUS_OK;
}

status graph_add_list(
    struct graph *graph, const struct graph_scope *scope, const struct node *list) {
    if (list == NULL || list->kind == NODE_NULL) {
        return STATUS_OK;
    }
    if (list->kind != NODE_LIST) {
        FAIL_AT(list, STATUS_USAGE, "a list of layers must stand here");
    }
    for (const struct node *entry = list->child; entry != NULL; entry = entry->next) {
        int number = 1;
        const char *kind = entry_kind(entry);
        for (const struct node *e = list->child; e != entry; e = e->next) {
            const char *other = entry_kind(e);
            number += kind != NULL && other != NULL && strcmp(kind, other) == 0;
        }
        TRY(add_entry(graph, scope, entry, number));
    }
    return STATUS_OK;
}

/* A node at the place of another. */
static status make_node(struct graph *graph, struct node **out, enum node_kind kind,
    const char *key, const struct node *place) {
    TRY(pool_take(&graph->pool, (void **)out, 1, sizeof **out));
    **out = (struct node){.kind = kind,
        .key = key,
        .file = place->file,
        .line = place->line,
        .column = place->column};
    return STATUS_OK;
}

/* A value of a line: one scalar, or a list of those between commas. */
static status make_value(
    struct graph *graph, struct node **out, const char *key, char *text, const struct node *place) {
    char *rest, *comma = strchr(text, ',');
    TRY(make_node(graph, out, comma == NULL ? NODE_SCALAR : NODE_LIST, key, place));
    if (comma == NULL) {
        (*out)->text = text;
        return STATUS_OK;
    }
    struct node **end = &(*out)->child;
    for (char *word = strtok_r(text, ",", &rest); word != NULL; word = strtok_r(NULL, ",", &rest)) {
        TRY(make_node(graph, end, NODE_SCALAR, NULL, place));
        (*end)->text = word;
        end = &(*end)->next;
    }
    return STATUS_OK;
}

status graph_add_line(struct graph *graph, const struct graph_scope *scope, const struct node *node,
    const char *format, ...) {
    char *line;
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    TRY(pool_take(&graph->pool, (void **)&line, (size_t)length + 1, 1));
    va_start(arguments, format);
    vsnprintf(line, (size_t)length + 1, format, arguments);
    va_end(arguments);

    char *rest;
    struct node *entry, *mapping;
    TRY(make_node(graph, &entry, NODE_MAPPING, NULL, node));
    TRY(make_node(graph, &mapping, NODE_MAPPING, strtok_r(line, " ", &rest), node));
    entry->child = mapping;
    struct node **end = &mapping->child;
    for (char *word = strtok_r(NULL, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest)) {
        char *value = strchr(word, '=');
        *value++ = '\0';
        TRY(make_value(graph, end, word, value, node));
        end = &(*end)->next;
    }
    return add_entry(graph, scope, entry, 1);
}

status graph_fork(struct graph *graph, struct value **out, const struct graph_scope *scope,
    int count, const struct node *node) {
    if (count == 1) {
        out[0] = graph->current;
        return STATUS_OK;
    }
    const char *name;
    TRY(make_text(graph, &name, "%sfork", scope->place));
    struct layer *layer;
    TRY(add_layer(graph, &layer, &layer_fork, NULL, name, node, &graph->current, 1, count));
    memcpy(out, layer->output, (size_t)count * sizeof *out);
    graph->current = NULL;
    return STATUS_OK;
}

status graph_join(struct graph *graph, const struct graph_scope *scope,
    const struct layer_operations *operations, struct value *const *in, int count,
    const struct node *node) {
    const char *name;
    TRY(make_text(graph, &name, "%s%s", scope->place, operations->kind.name));
    struct layer *layer;
    TRY(add_layer(graph, &layer, operations, NULL, name, node, in, count, 1));
    graph->current = layer->output[0];
    return STATUS_OK;
}

status graph_add_parameter(struct graph *graph, struct graph_parameter **out) {
    TRY(grow(graph, &graph->parameter, graph->parameters, &graph->parameters_room,
        sizeof(struct graph_parameter *)));
    TRY(pool_take(&graph->pool, (void **)out, 1, sizeof **out));
    (*out)->number = graph->parameters;
    graph->parameter[graph->parameters++] = *out;
    return STATUS_OK;
}

status graph_add_auxiliary(struct graph *graph, double weight) {
    TRY(grow(graph, &graph->auxiliary, graph->auxiliaries, &graph->auxiliaries_room,
        sizeof *graph->auxiliary));
    graph->auxiliary[graph->auxiliaries++] =
        (struct graph_auxiliary){.value = graph->current, .weight = weight};
    return STATUS_OK;
}

struct model_options {
    struct {
        int64_t channels, height, width;
    } input;
    struct {
        bool sync;
    } batchnorm;
    const struct node *layers;
};
#define INPUT(field, what)                                                                         \
    {                                                                                              \
        .name = #field, .type = OPTION_INTEGER,                                                    \
        .offset =                                                                                  \
            offsetof(struct model_options, input.field) - offsetof(struct model_options, input),   \
        .low = 1, .high = 65536, .flags = OPTION_REQUIRED | OPTION_CHANGES_BITS, .help = what      \
    }
static const struct option input_options[] = {INPUT(channels, "channels of a picture"),
    INPUT(height, "rows of a picture"), INPUT(width, "columns of a picture"), OPTIONS_END};
static const struct option batchnorm_options[] = {
    {.name = "sync",
        .type = OPTION_SWITCH,
        .flags = OPTION_CHANGES_BITS,
        .help = "statistics over the whole batch, not over each leaf"},
    OPTIONS_END};
static const struct option model_options[] = {{.name = "input",
                                                  .type = OPTION_GROUP,
                                                  .offset = offsetof(struct model_options, input),
                                                  .flags = OPTION_REQUIRED | OPTION_CHANGES_BITS,
                                                  .help = "what the network takes",
                                                  .table = input_options},
    {.name = "batchnorm",
        .type = OPTION_GROUP,
        .offset = offsetof(struct model_options, batchnorm),
        .flags = OPTION_CHANGES_BITS,
        .help = "of every batch norm in it, those of containers too",
        .table = batchnorm_options},
    {.name = "layers",
        .type = OPTION_NODE,
        .offset = offsetof(struct model_options, layers),
        .flags = OPTION_REQUIRED | OPTION_CHANGES_BITS,
        .help = "layers and containers, one after the other"},
    OPTIONS_END};

static int compare_names(const void *a, const void *b) {
    const struct layer *left = *(struct layer *const *)a;
    const struct layer *right = *(struct layer *const *)b;
    int order = strcmp(left->name, right->name);
    return order != 0 ? order : left->number - right->number;
}

static status check_names(struct graph *graph) {
    struct layer **sorted;
    TRY(pool_take(
        &graph->pool, (void **)&sorted, (size_t)graph->layers + 1, sizeof(struct layer *)));
    memcpy(sorted, graph->layer, (size_t)graph->layers * sizeof *sorted);
    qsort(sorted, (size_t)graph->layers, sizeof *sorted, compare_names);
    for (int i = 1; i < graph->layers; i++) {
        if (strcmp(sorted[i - 1]->name, sorted[i]->name) == 0) {
            char place[256];
            FAIL_AT(sorted[i]->node, STATUS_USAGE,
                "two layers are called %s; the other stands at %s", sorted[i]->name,
                node_place(sorted[i - 1]->node, place, sizeof place));
        }
    }
    return STATUS_OK;
}

status graph_build(struct graph *graph, const struct node *model, const struct layer_plan *plan) {
    graph->plan = *plan;
    struct model_options options = {0};
    TRY(options_parse(&options, model_options, model, &graph->pool));
    graph->plan.batchnorm_sync = options.batchnorm.sync;
    TRY(add_value(graph, &graph->current, -1));
    struct value *input = graph->current;
    input->shape = (struct shape){
        (int)options.input.channels, (int)options.input.height, (int)options.input.width};
    if (!shape_fits(input->shape)) {
        FAIL_AT(node_get(model, "input"), STATUS_USAGE, "an input of %lldx%lldx%lld is too large",
            (long long)options.input.channels, (long long)options.input.height,
            (long long)options.input.width);
    }
    const struct graph_scope scope = {.given = "", .place = ""};
    TRY(graph_add_list(graph, &scope, options.layers));
    if (graph->layers == 0) {
        FAIL_AT(model, STATUS_USAGE, "the network has no layers");
    }
    return check_names(graph);
}
