#include "worker/net_internal.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* Threads may be new since the last pass (they belong to the calling thread). */
static void flush_denormals(const struct net *net) {
#pragma omp parallel num_threads(net->options.threads)
    cpu_flush_denormals();
}

static void clear_border(const struct net *net, const struct tensor *tensor, int pictures) {
    if (tensor->border_height == 0 && tensor->border_width == 0) {
        return;
    }
#pragma omp parallel for num_threads(net->options.threads) schedule(static)
    for (int n = 0; n < pictures; n++) {
        tensor_clear_border(tensor, n, 1);
    }
}

void net_begin_storages(const struct net *net, int time, int pictures) {
    const struct memory_plan *plan = &net->plan;
    int low = 0, high = plan->storages;
    while (low < high) {
        int middle = (low + high) / 2;
        if (plan->block[plan->by_start[middle]].from < time) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    for (; low < plan->storages && plan->block[plan->by_start[low]].from == time; low++) {
        clear_border(net, &plan->storage[plan->by_start[low]].tensor, pictures);
    }
}

static void fill_not_a_number(const struct net *net, const struct planner_block *block) {
    float *memory = (float *)(net->arena.base + block->offset);
    for (size_t i = 0; i < block->bytes / sizeof(float); i++) {
        memory[i] = NAN;
    }
}

static void end_blocks(const struct net *net, int time) {
    if (!net->poison) {
        return;
    }
    const struct memory_plan *plan = &net->plan;
    for (int b = 0; b < plan->blocks; b++) {
        if (plan->block[b].to == time || b == plan->blocks - 1) { /* the scratch dies each time */
            fill_not_a_number(net, &plan->block[b]);
        }
    }
}

void net_set_watch(struct net *net, const struct net_watch *watch) {
    net->run.watch = watch;
}

static void part_done(const struct net *net, int layer, enum net_part part) {
    if (net->run.watch != NULL) {
        net->run.watch->done(net->run.watch->context, layer, part);
    }
}

void net_load_input(struct net *net, const struct pass *pass, const float *pixels) {
    const struct value *input = net->graph.value[0];
    size_t elements = shape_elements(input->shape);
    net_begin_storages(net, 0, pass->pictures);
#pragma omp parallel for num_threads(net->options.threads) schedule(static)
    for (int n = 0; n < pass->pictures; n++) {
        struct tensor picture = input->activation;
        picture.data += n * picture.picture_stride;
        tensor_load_planar(&picture, pixels + (size_t)n * elements, 1);
    }
    part_done(net, -1, NET_PART_INPUT);
}

/* Runs a layer forward, as it does at that time of the step. */
static void run_forward(
    struct net *net, const struct pass *pass, const struct layer *layer, int number, int time) {
    net_begin_storages(net, time, pass->pictures);
    if (layer->carrier == NULL) {
        layer->operations->forward(layer, &net->run, pass);
    }
    end_blocks(net, time);
    part_done(net, number, NET_PART_FORWARD);
}

bool net_forward_layer(struct net *net, const struct pass *pass, int index) {
    const struct layer *layer = net->graph.layer[index];
    if (layer->training_only && !(pass->training && net->options.training)) {
        return false;
    }
    run_forward(net, pass, layer_first(layer), index, layer->time.forward);
    return true;
}

void net_forward(
    struct net *net, const struct pass *pass, const float *pixels, const struct target *targets) {
    assert(pass->pictures <= net->options.pictures && pass->leaves <= net->options.leaves);
    flush_denormals(net);
    net_load_input(net, pass, pixels);
    for (int i = 0; i < net->graph.layers; i++) {
        net_forward_layer(net, pass, i);
    }
    if (targets != NULL && net->loss != NULL) {
        net_run_losses(net, pass, targets);
        end_blocks(net, net->plan.loss_time);
        part_done(net, -1, NET_PART_LOSS);
    }
}

void net_output(float *planar, const struct net *net, int pictures) {
    tensor_store_planar(planar, &net->output->activation, pictures);
}

static void call_between(const struct net_hooks *hooks) {
    if (hooks != NULL && hooks->between != NULL) {
        hooks->between(hooks->context);
    }
}

/* What backward of a segment needs and was not kept. */
static void run_again(struct net *net, const struct pass *pass, const struct graph_segment *segment,
    const struct net_hooks *hooks) {
    for (int i = segment->from; i < segment->past; i++) {
        const struct layer *layer = net->graph.layer[i];
        if (layer->again) {
            run_forward(net, pass, layer, i, layer->time.again);
            call_between(hooks);
        }
    }
}

/* Returns how many elements of the gradient are done after it, of `done` before. */
static size_t run_backward(struct net *net, const struct pass *pass, int index,
    const struct net_hooks *hooks, size_t done) {
    const struct layer *layer = net->graph.layer[index];
    net_begin_storages(net, layer->time.backward, pass->pictures);
    bool carried = layer->carrier != NULL && !layer->carried_forward_only;
    if (!carried && layer->output[0]->wants_gradient) {
        layer->operations->backward(layer, &net->run, pass);
    }
    end_blocks(net, layer->time.backward);
    part_done(net, index, NET_PART_BACKWARD);
    size_t from = done;
    for (int p = 0; p < layer->parameters; p++) {
        done += layer->parameter[p]->packed;
    }
    if (hooks != NULL && hooks->ready != NULL && done > from) {
        hooks->ready(hooks->context, from, done);
    }
    call_between(hooks);
    part_done(net, index, NET_PART_HOOKS);
    return done;
}

void net_backward(struct net *net, const struct pass *pass, const struct net_hooks *hooks) {
    assert(net->options.training && pass->gradient != NULL);
    const struct graph *graph = &net->graph;
    int segment = graph->segments - 1;
    size_t done = NET_METRICS;
    flush_denormals(net);
    if (hooks != NULL && hooks->ready != NULL) {
        hooks->ready(hooks->context, 0, done);
    }
    for (int i = graph->layers - 1; i >= 0; i--) {
        for (; segment >= 0 && graph->segment[segment].before == i; segment--) {
            run_again(net, pass, &graph->segment[segment], hooks);
        }
        done = run_backward(net, pass, i, hooks, done);
    }
}

static bool is_finite(const struct tensor *tensor, int pictures) {
    for (int n = 0; n < pictures; n++) {
        for (int b = 0; b < shape_blocks(tensor->shape.channels); b++) {
            for (int h = 0; h < tensor->shape.height; h++) {
                const float *row = tensor_at(tensor, n, b, h, 0);
                for (int i = 0; i < tensor->shape.width * CHANNEL_BLOCK; i++) {
                    if (!isfinite(row[i])) {
                        return false;
                    }
                }
            }
        }
    }
    return true;
}

const char *net_find_not_finite(
    struct net *net, const struct pass *pass, const float *pixels, const struct target *targets) {
    net_load_input(net, pass, pixels);
    if (!is_finite(&net->graph.value[0]->activation, pass->pictures)) {
        return "input";
    }
    for (int i = 0; i < net->graph.layers; i++) {
        const struct layer *layer = layer_first(net->graph.layer[i]);
        if (!net_forward_layer(net, pass, i)) {
            continue;
        }
        for (int o = 0; o < layer->outputs; o++) {
            if (!is_finite(&layer->output[o]->activation, pass->pictures)) {
                return layer->name;
            }
        }
    }
    if (targets == NULL || net->loss == NULL) {
        return NULL;
    }
    net_run_losses(net, pass, targets);
    for (int l = 0; l < pass->leaves; l++) {
        if (!isfinite(net->leaf_metrics[l * NET_METRICS + NET_LOSS])) {
            return "loss";
        }
    }
    return NULL;
}
