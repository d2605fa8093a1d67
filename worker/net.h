/* A network: layers built from a model's document, planned once, run pass by pass.
 *
 * net_create does everything that can fail: it parses the layers, checks shapes, declares
 * parameters and plans memory, and its errors name the layer and its line. Nothing is allocated
 * afterwards, and forward and backward cannot fail.
 *
 * Not for all ranks together: each rank has its own net; none of these talk to other ranks.
 */
#ifndef WORKER_NET_H
#define WORKER_NET_H

#include "base/document.h"
#include "base/options.h"
#include "base/shape.h"
#include "base/target.h"
#include "worker/kernels/kernels.h"
#include "worker/parameter.h"
#include "worker/pass.h"

#include <stdio.h>

/* What backward needs of the values that forward made: it is kept; or only what convolutions and
 * linear layers made is, and the rest is made again; or all is made again, by parts of the net
 * (worker/recompute.h). Changes memory and time, and no bit. */
enum recompute { RECOMPUTE_OFF, RECOMPUTE_CHEAP, RECOMPUTE_ALL };

struct net_options {
    int pictures;      /* the most of one pass */
    int leaves;        /* the most leaves of one pass */
    int leaf;          /* the most pictures of one leaf */
    int smallest_leaf; /* the fewest pictures of a leaf that is not empty: batch norm refuses
                          to plan where it cannot compute (0: not checked) */
    int threads;       /* OpenMP threads, at least 1 */
    bool pin;          /* pin thread t to core first_core + t of the cpuset: only where no one
                          else computes there */
    int first_core;
    bool training; /* false: forward only, no gradients planned */
    enum engine_kernels engine;
    enum engine_winograd winograd;
    enum recompute recompute;
    const struct choice *loss; /* worker/loss.h; NULL: none (predict) */
    bool plan_only;            /* inspect: no memory is reserved, nothing can be run */
    bool unfused;              /* tests: every layer does its own work, see worker/fusion.h, and
                                  copies what it concatenates, see worker/storage.h */
};

struct net;

/* `model` is the mapping with `input` and `layers`. The document must outlive the net. Fails with
 * STATUS_USAGE naming file, line, column and layer. */
status net_create(struct net **net, const struct node *model, const struct net_options *options);
void net_destroy(struct net *net);

struct shape net_input_shape(const struct net *net);
struct shape net_output_shape(const struct net *net);

/* The parameters in packed order, and the length in floats of a packed vector. The first
 * NET_METRICS floats of a *gradient* vector are no parameter but the sums of the loss (below). */
int net_parameter_count(const struct net *net);
const struct parameter *net_parameter(const struct net *net, int index);
size_t net_vector_size(const struct net *net);
/* The weights (packed vector, owned by the net; written by initialisers, optimizer and loading). */
float *net_weights(struct net *net);
/* From now on the weights lie at `weights`, aligned to 64 bytes, which is borrowed: other nets with
 * the same weights may lie there too. `copy`: they are brought there; else they are there. */
void net_move_weights(struct net *net, float *weights, bool copy);

/* From now on runs forward with the packed vector `weights`, which is borrowed; NULL: with its own
 * again. For an average of the weights. */
void net_borrow_weights(struct net *net, float *weights);

/* First weights, from the layers' initialisers: a pure function of model and seed. Fails only for
 * want of memory (one parameter in standard order). */
status net_initialise(struct net *net, uint64_t seed);

/* Sums over pictures that travel with the gradient, exact counts as floats. */
#define NET_METRICS 16
enum net_metric { NET_LOSS, NET_CORRECT, NET_CORRECT_5, NET_PICTURES };

/* Loads pixels[pictures][channels][height][width] and targets[pictures] and runs all layers and
 * the loss. The loss's sums over each subtree are in gradient[s][0 .. NET_METRICS) where
 * pass->gradient is given. `targets` NULL: no loss. */
void net_forward(
    struct net *net, const struct pass *pass, const float *pixels, const struct target *targets);

/* Numbers that layers sum over the whole batch in forward, and again in backward, of a training
 * pass (struct pass_batch): all ranks with pictures must run it together. 0: none. */
int net_batch_sums(const struct net *net);

/* The output of the last forward, planar [pictures][channels][height][width]. */
void net_output(float *planar, const struct net *net, int pictures);

/* Runs backward after a training forward of the same pass. As soon as elements [from, to) of every
 * gradient[s] are final, and the weights of that range are read no more, calls `ready` (not NULL);
 * ranges come in order, from 0 to the vector's size, without gaps. `between` is called between
 * kernels, so that an exchange can move on; either may be NULL. Both are called on the calling
 * thread. */
struct net_hooks {
    void (*ready)(void *context, size_t from, size_t to);
    void (*between)(void *context);
    void *context;
};
void net_backward(struct net *net, const struct pass *pass, const struct net_hooks *hooks);

/* For measuring: `done` is called as soon as a part of a pass is done, with the number of its layer
 * (-1 where it has none). The parts come one after another without gaps, so that a part took the
 * time since the one before. */
enum net_part {
    NET_PART_INPUT, /* the pictures are loaded */
    NET_PART_FORWARD,
    NET_PART_LOSS,
    NET_PART_WEIGHTS,  /* gradients of weights and bias of a layer that has both ways backward */
    NET_PART_BACKWARD, /* the rest of the layer's backward */
    NET_PART_HOOKS,    /* the hooks after a layer's backward */
};
struct net_watch {
    void (*done)(void *context, int layer, enum net_part part);
    void *context;
};
/* `watch` is borrowed; NULL: nobody measures. */
void net_set_watch(struct net *net, const struct net_watch *watch);

/* After a forward whose loss is not finite: the name of the first layer whose output is not
 * (running forward again, layer by layer), or "loss"; NULL if all is finite. */
const char *net_find_not_finite(
    struct net *net, const struct pass *pass, const float *pixels, const struct target *targets);

/* What inspect prints. */
struct convolution_kernels;
struct convolution_shape;
struct layer_report {
    const char *name, *kind;
    const char *fused; /* the layer that does its work too: "" if none */
    /* Those that hand it its input, and the gradient of its output, while they lie in cache
     * (worker/handoff.h): "" if none. */
    const char *input_from, *gradient_from;
    struct shape output;
    int64_t parameters;    /* learnable elements, statistics not counted */
    int64_t multiply_adds; /* of forward, a picture */
    /* Of what works as a convolution (worker/kernels/convolution.h); NULL: it does not. A
     * transposed one has kernels alone. */
    const struct convolution_kernels *kernels;
    const struct convolution_shape *convolution;
    bool input_gradient; /* backward computes the gradient of its input */
    /* Bytes of one pass: what the layer makes in memory of its own (values and what it keeps for
     * backward; not where it writes over its input, or into another's place), and its scratch. */
    size_t value_bytes, scratch_bytes;
    /* Bytes a picture that a layer of its flags cannot but read or write, once each: activations,
     * gradients, what it keeps for backward, and what it reads for those that it hands its gradient
     * to. The least traffic of a layer that is not fused with another. */
    int64_t forward_bytes, backward_bytes;
    const struct node *node;
};
int net_layer_count(const struct net *net);
struct layer_report net_layer_report(const struct net *net, int index);
struct net_memory {
    size_t weights, gradients_each, activations, scratch; /* bytes */
};
struct net_memory net_memory_report(const struct net *net);

/* Every kind of layer and container. */
extern const struct kind *const layers[]; /* NULL-terminated */

#endif
