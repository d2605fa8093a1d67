#include "worker/net_internal.h"

#include "base/memory.h"
#include "worker/fusion.h"
#include "worker/handoff.h"
#include "worker/recompute.h"

#include <stdlib.h>
#include <string.h>

#define SEGMENTS_MOST 64

/* In the order in which backward finishes them. */
static status lay_out_parameters(struct net *net) {
    TRY(pool_take(&net->graph.pool, (void **)&net->parameter, (size_t)net->graph.parameters + 1,
        sizeof(struct parameter *)));
    size_t offset = NET_METRICS;
    int count = 0;
    for (int i = net->graph.layers - 1; i >= 0; i--) {
        const struct layer *layer = net->graph.layer[i];
        for (int p = 0; p < layer->parameters; p++) {
            layer->parameter[p]->offset = offset;
            offset += layer->parameter[p]->packed;
            net->parameter[count++] = layer->parameter[p];
        }
    }
    net->vector_size = offset;
    return STATUS_OK;
}

static status plan_losses(struct net *net) {
    if (net->options.loss == NULL) {
        return STATUS_OK;
    }
    net->loss = (const struct loss_operations *)net->options.loss->kind;
    net->loss_options = net->options.loss->values;
    const struct graph *graph = &net->graph;
    for (int i = -1; i < graph->auxiliaries; i++) {
        const struct value *value = i < 0 ? net->output : graph->auxiliary[i].value;
        const struct layer *maker = graph->layer[value->maker];
        if (net->loss->plan(net->loss_options, value->shape) != STATUS_OK) {
            char place[256];
            node_place(maker->node, place, sizeof place);
            return status_prefix(STATUS_USAGE, "%s: layer %s", place, maker->name);
        }
    }
    return STATUS_OK;
}

static void start_threads(const struct net_options *options) {
#pragma omp parallel for num_threads(options->threads) schedule(static, 1)
    for (int thread = 0; thread < options->threads; thread++) {
        cpu_flush_denormals();
        if (options->pin) {
            cpu_pin(options->first_core + thread);
        }
    }
}

void net_place(struct net *net) {
    const struct planner_block *last = &net->plan.block[net->plan.blocks - 1];
    memory_plan_place(&net->plan, &net->graph, net->arena.base);
    net->run.scratch = net->arena.base + last[0].offset;
    net->run.handed_gradient = net->arena.base + last[-1].offset;
    net->run.handed_input = net->arena.base + last[-2].offset;
}

static status take_memory(struct net *net) {
    const struct net_options *options = &net->options;
    start_threads(options); /* pinned before they touch memory */
    TRY(arena_init(&net->arena, net->plan.total, options->threads));
    TRY(arena_init(&net->weights, net->vector_size * sizeof(float), options->threads));
    net->place = (float *)(void *)net->weights.base;
    TRY(MEMORY_ALLOCATE(&net->picture_metrics, (size_t)options->pictures * NET_METRICS));
    TRY(MEMORY_ALLOCATE(&net->leaf_metrics, (size_t)options->leaves * NET_METRICS));
    net->run = (struct layer_run){
        .kernels = net->kernels,
        .threads = options->threads,
        .weights = net->place,
    };
    net_place(net);
    return STATUS_OK;
}

/* Plans for a cut into so many segments. */
static status plan_segments(
    struct memory_plan *plan, struct net *net, int segments, struct pool *pool) {
    const struct net_options *options = &net->options;
    const struct memory_plan_options memory = {
        .pictures = options->pictures, .training = options->training, .apart = options->unfused};
    TRY(recompute_plan(&net->graph, options->recompute, segments, pool));
    return memory_plan_create(plan, &net->graph, &memory, pool);
}

/* The cut that needs least. */
static status plan_memory(struct net *net) {
    bool recompute = net->options.training && net->options.recompute != RECOMPUTE_OFF;
    int most = recompute ? recompute_limit(&net->graph) : 1, best = 1;
    size_t least = SIZE_MAX;
    most = most < SEGMENTS_MOST ? most : SEGMENTS_MOST;
    for (int segments = 1; most > 1 && segments <= most; segments += 1 + segments / 8) {
        struct pool pool;
        struct memory_plan plan;
        pool_init(&pool);
        status result = plan_segments(&plan, net, segments, &pool);
        pool_release(&pool);
        TRY(result);
        if (plan.total < least) {
            least = plan.total;
            best = segments;
        }
    }
    return plan_segments(&net->plan, net, best, &net->graph.pool);
}

static status plan_net(struct net *net, const struct node *model) {
    enum cpu_isa isa;
    TRY(cpu_isa_choose(&isa));
    net->kernels = kernels_get(isa);
    const struct net_options *options = &net->options;
    const struct layer_plan plan = {
        .kernels = net->kernels,
        .engine = options->engine,
        .winograd = options->winograd,
        .threads = options->threads,
        .pictures = options->pictures,
        .leaves = options->leaves,
        .leaf = options->leaf,
        .smallest_leaf = options->smallest_leaf,
        .training = options->training,
    };
    TRY(graph_build(&net->graph, model, &plan));
    net->output = net->graph.current;
    TRY(lay_out_parameters(net));
    TRY(plan_losses(net));
    if (!options->unfused) {
        fusion_plan(&net->graph);
    }
    TRY(plan_memory(net));
    return net->options.plan_only ? STATUS_OK : take_memory(net);
}

status net_create(struct net **net, const struct node *model, const struct net_options *options) {
    *net = NULL;
    struct net *made;
    TRY(MEMORY_ALLOCATE(&made, 1));
    graph_init(&made->graph);
    made->options = *options;
    if (made->options.threads < 1) {
        made->options.threads = 1;
    }
    status result = plan_net(made, model);
    if (result != STATUS_OK) {
        net_destroy(made);
        return status_trace(result, __FILE__, __LINE__, __func__);
    }
    *net = made;
    return STATUS_OK;
}

void net_destroy(struct net *net) {
    if (net == NULL) {
        return;
    }
    graph_release(&net->graph);
    arena_release(&net->weights);
    arena_release(&net->arena);
    free(net->picture_metrics);
    free(net->leaf_metrics);
    free(net);
}

struct shape net_input_shape(const struct net *net) {
    return net->graph.value[0]->shape;
}

struct shape net_output_shape(const struct net *net) {
    return net->output->shape;
}

int net_parameter_count(const struct net *net) {
    return net->graph.parameters;
}

const struct parameter *net_parameter(const struct net *net, int index) {
    return net->parameter[index];
}

size_t net_vector_size(const struct net *net) {
    return net->vector_size;
}

float *net_weights(struct net *net) {
    return net->place;
}

void net_borrow_weights(struct net *net, float *weights) {
    net->run.weights = weights != NULL ? weights : net_weights(net);
}

void net_move_weights(struct net *net, float *weights, bool copy) {
    if (copy) {
        memcpy(weights, net->place, net->vector_size * sizeof *weights);
    }
    net->run.weights = net->place = weights;
    arena_release(&net->weights);
}

int net_batch_sums(const struct net *net) {
    int sums = 0;
    for (int i = 0; i < net->graph.layers; i++) {
        sums += net->graph.layer[i]->batch_sums;
    }
    return sums;
}

int net_layer_count(const struct net *net) {
    return net->graph.layers;
}

static int64_t ends_bytes(struct value *const *end, int count) {
    size_t elements = 0;
    for (int i = 0; i < count; i++) {
        elements += shape_elements(end[i]->shape);
    }
    return (int64_t)(elements * sizeof(float));
}

/* Of a join, which copies what does not lie in its place: once read, once written. */
static int64_t copied_bytes(const struct net *net, const struct layer *layer, bool gradients) {
    int64_t bytes = 0;
    for (int i = 0; i < layer->inputs; i++) {
        int storage = gradients ? layer->input[i]->gradient_storage : layer->input[i]->storage;
        if (storage >= 0 && net->plan.storage[storage].whole < 0) {
            bytes += 2 * ends_bytes(&layer->input[i], 1);
        }
    }
    return bytes;
}

/* A picture's part of what is kept for backward beside values. A rank without leaves has none. */
static int64_t kept_bytes(const struct net *net, const struct layer *layer) {
    const size_t pictures = (size_t)net->options.pictures;
    return pictures > 0 ? (int64_t)(layer->saved_bytes / pictures) : 0;
}

/* What backward reads beside the gradient that it hands on. */
static int64_t handed_bytes(const struct layer *layer) {
    struct handoff handoff;
    const struct epilogue *epilogue = handoff_gradient(&handoff, layer, NULL, NULL);
    return epilogue != NULL ? epilogue->reads * ends_bytes(layer->input, 1) : 0;
}

static int64_t forward_bytes(const struct net *net, const struct layer *layer) {
    if (layer->flags & LAYER_VIEW) {
        return 0;
    }
    if (layer->flags & LAYER_JOINS) {
        return copied_bytes(net, layer, false);
    }
    return ends_bytes(layer->input, layer->inputs) + ends_bytes(layer->output, layer->outputs) +
           kept_bytes(net, layer);
}

static int64_t backward_bytes(const struct net *net, const struct layer *layer) {
    if (!layer->output[0]->wants_gradient || (layer->flags & LAYER_GRADIENT_VIEW)) {
        return 0;
    }
    if (layer->flags & LAYER_JOINS) {
        return copied_bytes(net, layer, true);
    }
    int64_t inputs = ends_bytes(layer->input, layer->inputs);
    int64_t outputs = ends_bytes(layer->output, layer->outputs);
    return outputs + (layer->input[0]->wants_gradient ? inputs : 0) +
           (layer->flags & LAYER_NEEDS_INPUT ? inputs : 0) +
           (layer->flags & LAYER_NEEDS_OUTPUT ? outputs : 0) + kept_bytes(net, layer) +
           (layer->input[0]->wants_gradient ? handed_bytes(layer) : 0);
}

static const char *name_of(const struct layer *layer) {
    return layer == NULL ? "" : layer->name;
}

/* Of a value in its storage, which may be a part of another. */
static size_t stored_bytes(const struct net *net, const struct value *value) {
    const struct storage *storage = net->plan.storage;
    const struct tensor *whole = &storage[storage_whole(storage, value->storage)].tensor;
    return (size_t)whole->pictures * (size_t)shape_blocks(value->shape.channels) *
           (size_t)whole->block_stride * sizeof(float);
}

static size_t value_bytes(const struct net *net, const struct layer *layer) {
    size_t bytes = net->plan.block[net->plan.storages + layer->number].bytes;
    int input = layer->input[0]->storage;
    for (int o = 0; layer->carrier == NULL && o < layer->outputs; o++) {
        const struct value *output = layer->output[o];
        bytes += output->storage >= 0 && output->storage != input ? stored_bytes(net, output) : 0;
        for (int i = 0; (layer->flags & LAYER_JOINS) != 0 && i < layer->inputs; i++) {
            int part = layer->input[i]->storage;
            bool inside = part >= 0 && net->plan.storage[part].whole == output->storage;
            bytes -= inside ? stored_bytes(net, layer->input[i]) : 0;
        }
    }
    return bytes;
}

struct layer_report net_layer_report(const struct net *net, int index) {
    const struct layer *layer = net->graph.layer[index];
    int64_t learnable = 0;
    for (int p = 0; p < layer->parameters; p++) {
        if (layer->parameter[p]->kind != PARAMETER_STATISTIC) {
            learnable += layer->parameter[p]->elements;
        }
    }
    return (struct layer_report){
        .name = layer->name,
        .kind = layer->operations->kind.name,
        .fused = name_of(layer->carrier),
        .input_from = name_of(layer->input_from),
        .gradient_from = name_of(layer->gradient_from),
        .output = layer->output[0]->shape,
        .parameters = learnable,
        .multiply_adds = layer->multiply_adds,
        .kernels = layer->kernels,
        .convolution = layer->convolution,
        .input_gradient = layer->input[0]->wants_gradient,
        .value_bytes = value_bytes(net, layer_first(layer)) +
                       (layer_worker(layer)->again ? value_bytes(net, layer) : 0),
        .scratch_bytes = layer->scratch_bytes,
        .forward_bytes = forward_bytes(net, layer),
        .backward_bytes = backward_bytes(net, layer),
        .node = layer->node,
    };
}

struct net_memory net_memory_report(const struct net *net) {
    size_t vector = net->vector_size * sizeof(float);
    return (struct net_memory){
        .weights = vector,
        .gradients_each = vector,
        .activations = net->plan.total - net->plan.scratch,
        .scratch = net->plan.scratch,
    };
}
